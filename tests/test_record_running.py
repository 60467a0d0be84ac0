"""Recording a process that already runs: it is loaded with the recorder, records, is rid of it, and goes on as if nothing
had been."""

import os
import pathlib
import signal
import subprocess
import time

import pytest

from doors import DOORS, Target
from interpreters import EVERYWHERE, SYSTEM
from surroundings import COMMAND, PROGRAMS, TIMEOUT, bare_environment, clean_environment, run, running

IDLE = PROGRAMS / "idle.py"
WAYS = ["sleep", "read", "select", "poll", "epoll", "accept", "lock", "calculation"]
KNOWN_LINE, KNOWN_BYTES = "idle.py", 5_000_000

STRESS = bool(os.environ.get("MEMTRACE_STRESS"))


def record(pid, *words, timeout=TIMEOUT):
    return run([COMMAND, "--pid", pid, *(words or ["record"])], timeout=timeout)


def idle(way, python=(SYSTEM,), **options):
    environment = bare_environment()
    return running([*python, IDLE, way], environment, ready=None, **options)


def begin(process):
    """It said that it is ready; give it a moment to be in the call that it waits in."""
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.2)


def allocate(process):
    process.stdin.write("x")
    process.stdin.flush()
    assert process.stdout.readline() == "allocated\n"


def end(process):
    process.stdin.write("x")
    process.stdin.flush()
    assert process.stdout.readline() == f"done {KNOWN_BYTES}\n"
    assert process.wait(TIMEOUT) == 0


def known_rows(answer):
    return [row for row in answer["rows"] if row["live_bytes"] >= KNOWN_BYTES]


def check_recorded(door, pid):
    status, live = (answer.json() for answer in door(Target(pid=pid), ["status --json", "live --json"]))
    assert status["recording"] and status["level"] == "objects", status
    rows = known_rows(live)
    assert len(rows) == 1, live["rows"][:3]
    # The bytearray's bytes and the byte behind them, and no more than its object besides.
    assert KNOWN_BYTES < rows[0]["live_bytes"] < KNOWN_BYTES + 100
    assert rows[0]["stack"][0]["file"].endswith(KNOWN_LINE), rows[0]["stack"]


@pytest.mark.parametrize("way", WAYS)
def test_idle_process_by_pid(way):
    """In whatever call it waits: it goes on waiting, and is recorded from then on."""
    with idle(way) as process:
        begin(process)
        result = record(process.pid)
        assert result.returncode == 0, result.stderr
        assert "what was allocated before is not known" in result.stdout
        allocate(process)
        check_recorded(DOORS["memtrace"], process.pid)
        stopped = record(process.pid, "record", "stop")
        assert stopped.returncode == 0, stopped.stderr
        again = record(process.pid)
        assert again.returncode == 0, again.stderr
        end(process)


@pytest.mark.parametrize("door", ["gdb", "lldb"])
@pytest.mark.parametrize("way", WAYS if STRESS else ["poll", "lock", "calculation"])
def test_idle_process_in_debugger(door, way):
    with idle(way) as process:
        begin(process)
        answers = DOORS[door](Target(pid=process.pid), ["record", "record stop", "record"])
        assert len(answers) == 3 and not answers[-1].failed, answers[-1].text
        allocate(process)
        check_recorded(DOORS[door], process.pid)
        end(process)


@pytest.mark.parametrize("interpreter", EVERYWHERE, ids=str)
def test_interpreters(interpreter):
    """Static and shared libpython, other C libraries; those in roots do not see our files where we do."""
    interpreter.require()
    with idle("read", [*interpreter.inside, interpreter.path]) as process:
        begin(process)
        result = record(process.pid)
        assert result.returncode == 0, result.stderr
        allocate(process)
        live = DOORS["memtrace"](Target(pid=process.pid), ["live --json"])[0].json()
        assert live["live_bytes"] > KNOWN_BYTES, live
        assert record(process.pid, "record", "stop").returncode == 0
        end(process)


def test_timeout_is_kept():
    """A call with a timeout ends when it would have."""
    code = "import time, threading; t = time.monotonic(); threading.Lock().acquire(); l = threading.Lock(); l.acquire()"
    code += "; print('ready', flush=True); l.acquire(timeout=2); print(1.9 < time.monotonic() - t < 3, flush=True)"
    with running([SYSTEM, "-c", code], bare_environment(), ready=None) as process:
        begin(process)
        assert record(process.pid).returncode == 0
        assert process.stdout.readline() == "True\n"


# --- where it can't be so easily --------------------------------------------------------------------------------------


def state_of(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]


def test_stopped_job():
    """It stays stopped, and is recorded when it goes on."""
    with idle("read") as process:
        begin(process)
        process.send_signal(signal.SIGSTOP)
        while state_of(process.pid) != "T":
            time.sleep(0.01)
        result = record(process.pid)
        assert result.returncode == 0, result.stderr
        assert state_of(process.pid) == "T"
        process.send_signal(signal.SIGCONT)
        allocate(process)
        check_recorded(DOORS["memtrace"], process.pid)
        end(process)


def test_mount_namespace():
    """The recorder's file is not there for the process: it is handed over in memory."""
    if os.geteuid() != 0:
        pytest.skip("only root may make a mount namespace")
    hide = f"mount -t tmpfs none {COMMAND.parent} && exec {SYSTEM} {IDLE} read"
    with running(["unshare", "-m", "--propagation", "private", "sh", "-c", hide], bare_environment(), None) as process:
        begin(process)
        for _ in range(2):
            result = record(process.pid)
            assert result.returncode == 0, result.stderr
            assert record(process.pid, "record", "stop").returncode == 0
        assert record(process.pid).returncode == 0
        allocate(process)
        check_recorded(DOORS["memtrace"], process.pid)
        end(process)


@pytest.mark.parametrize("door", ["gdb", "lldb"])
def test_foreign_loader_is_refused_in_debugger(door, tmp_path):
    """The debugger takes its own breakpoints' places from another loader than the process has."""
    if os.geteuid() != 0:
        pytest.skip("only root may make a mount namespace")
    loader = os.path.realpath("/lib64/ld-linux-x86-64.so.2")
    hide = f"cp {loader} {tmp_path}/loader && mount --bind {tmp_path}/loader {loader} && exec {SYSTEM} {IDLE} read"
    with running(["unshare", "-m", "--propagation", "private", "sh", "-c", hide], bare_environment(), None) as process:
        begin(process)
        answer = DOORS[door](Target(pid=process.pid), ["record"])[0]
        assert answer.failed and "has other libraries by the same names" in answer.text, answer.text
        allocate(process)
        end(process)


def compiled(tmp_path, source, *options):
    path = tmp_path / "program"
    (tmp_path / "program.c").write_text(source)
    made = subprocess.run(["gcc", "-o", path, tmp_path / "program.c", *options], capture_output=True, text=True)
    if made.returncode:
        pytest.skip("this compiler can't: " + made.stderr.strip().splitlines()[-1])
    return path


WAITING = '#include <stdio.h>\nint main(void) { puts("ready"); fflush(stdout); return getchar() == EOF; }'


def test_static_program_is_refused(tmp_path):
    with running([compiled(tmp_path, WAITING, "-static")]) as process:
        result = record(process.pid)
        assert result.returncode == 1
        expected = f"process {process.pid} is a static program, which loads no libraries: it can't be recorded"
        assert result.stderr.strip() == f"memtrace record: {expected}"


def test_inside_stdio_is_waited_for_and_refused(tmp_path):
    """getchar holds the stream's lock for as long as it waits: no moment comes, and nothing was changed."""
    with running([compiled(tmp_path, WAITING)], bare_environment()) as process:
        result = record(process.pid)
        assert result.returncode == 1
        assert "no moment to load the recorder was found" in result.stderr, result.stderr
        assert "memtrace" not in pathlib.Path(f"/proc/{process.pid}/maps").read_text()
        process.stdin.write("x")
        process.stdin.flush()
        assert process.wait(TIMEOUT) == 0


def test_strict_seccomp_is_refused(tmp_path):
    source = """#include <sys/prctl.h>
#include <stdio.h>
#include <unistd.h>
int main(void) {
    char byte;
    puts("ready"), fflush(stdout);
    prctl(PR_SET_SECCOMP, 1);
    return read(0, &byte, 1) != 1;
}"""
    with running([compiled(tmp_path, source)], bare_environment()) as process:
        result = record(process.pid)
        assert result.returncode == 1
        assert "may make no system calls (strict seccomp)" in result.stderr, result.stderr


def test_other_debuggers_process_is_refused():
    with idle("read") as process:
        begin(process)
        asking = f"shell {COMMAND} --pid {process.pid} record"
        result = run(["gdb", "-nx", "-batch", "-iex", "set debuginfod enabled off", "-p", process.pid, "-ex", asking])
        assert "already debugs it" in result.stdout + result.stderr
        allocate(process)
        end(process)


def test_signals_arrive():
    """One that comes while the thread is lent to us ends the wait that it is to end."""
    code = "import signal, select, sys; signal.signal(signal.SIGUSR1, lambda *_: sys.exit(7)); print('ready', flush=True)"
    code += "; select.select([], [], [])"
    for moment in range(10 if STRESS else 3):
        with running([SYSTEM, "-c", code], bare_environment(), ready=None) as process:
            begin(process)
            recording = subprocess.Popen(
                [COMMAND, "--pid", str(process.pid), "record"], stdout=subprocess.DEVNULL, env=clean_environment()
            )
            time.sleep(0.005 * moment)
            process.send_signal(signal.SIGUSR1)
            assert process.wait(TIMEOUT) == 7
            recording.wait(TIMEOUT)
