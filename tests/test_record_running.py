"""Recording a process that already runs: it is loaded with the recorder, records, is rid of it, and goes on as if nothing
had been."""

import os
import pathlib
import shutil
import signal
import subprocess
import time

import pytest

from doors import DOORS, Target
from interpreters import EVERYWHERE, SYSTEM
from recording import IDLE, KNOWN_BYTES, allocate, begin, check_recorded, compiled, end, idle, record
from surroundings import COMMAND, PROGRAMS, RECORDER, ROOT, TIMEOUT
from surroundings import bare_environment, clean_environment, gcore, run, running, wait_until

LATE_NUMPY = PROGRAMS / "late_numpy.py"
NUMPY_LINE = LATE_NUMPY.read_text().splitlines().index("array = numpy.ones(10_000_000)") + 1
WAYS = ["sleep", "read", "select", "poll", "epoll", "accept", "lock", "calculation"]

STRESS = bool(os.environ.get("MEMTRACE_STRESS"))
ROUNDS = {"memtrace": 200 if STRESS else 4, "gdb": 200 if STRESS else 2, "lldb": 50 if STRESS else 1}


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


WITH_NUMPY = [one for one in EVERYWHERE if one.name in ("3.11-system", "3.13-trixie", "3.14-forky")]


@pytest.mark.parametrize("interpreter", WITH_NUMPY, ids=str)
@pytest.mark.parametrize("level", ["objects", "heap"])
def test_numpy_that_is_imported_later(interpreter, level):
    """Its libraries are hooked as they come: the array's bytes, exactly, and their end."""
    interpreter.require()
    python = [*interpreter.inside, interpreter.path]
    if run([*python, "-c", "import numpy"], bare_environment()).returncode:
        pytest.skip("numpy is not installed")
    with running([*python, LATE_NUMPY], bare_environment(), ready=None) as process:
        begin(process)
        result = record(process.pid, "record", "--level", level)
        assert result.returncode == 0, result.stderr

        def arrays_after_a_line(said):
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.stdout.readline() == f"{said}\n"
            live = DOORS["memtrace"](Target(pid=process.pid), ["live --json"])[0].json()
            return [row for row in live["rows"] if row["live_bytes"] >= 50_000_000]

        (row,) = arrays_after_a_line("allocated")
        # Beside the data there may be the array's object.
        assert max(block["size"] for block in row["blocks_sample"]) == 80_000_000
        assert row["live_bytes"] - 80_000_000 in range(0, 200), row
        frame = next(frame for frame in row["stack"] if frame["file"].endswith("late_numpy.py"))
        assert frame["line"] == NUMPY_LINE
        assert arrays_after_a_line("freed") == []


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


@pytest.mark.parametrize("door", DOORS)
def test_stopped_job(door):
    """It stays stopped, and is recorded when it goes on."""
    with idle("read") as process:
        begin(process)
        process.send_signal(signal.SIGSTOP)
        wait_until(lambda: state_of(process.pid) == "T", "the job to stop")
        answers = DOORS[door](Target(pid=process.pid), ["record", "record stop", "record"])
        assert len(answers) == 3 and not answers[-1].failed, answers[-1].text
        if door != "lldb":  # which lets a stopped job go on when it detaches, also without us
            assert state_of(process.pid) == "T"
        process.stdin.write("x")
        process.stdin.flush()
        if door != "lldb":
            time.sleep(0.2)
            assert state_of(process.pid) == "T"
            process.send_signal(signal.SIGCONT)
        assert process.stdout.readline() == "allocated\n"
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


def test_inside_stdio_is_waited_for_and_refused(tmp_path):
    """getchar holds the stream's lock for as long as it waits: no moment comes, and nothing was changed."""
    with running([compiled(tmp_path / "program", PROGRAMS / "waits_in_stdio.c")], bare_environment()) as process:
        result = record(process.pid)
        assert result.returncode == 1
        assert "no moment to load the recorder was found" in result.stderr, result.stderr
        assert "memtrace" not in pathlib.Path(f"/proc/{process.pid}/maps").read_text()
        process.stdin.write("x")
        process.stdin.flush()
        assert process.wait(TIMEOUT) == 0


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


# --- one after the other ----------------------------------------------------------------------------------------------


def test_twice_and_by_one_debugger_after_the_other():
    with idle("read") as process:
        begin(process)
        target = Target(pid=process.pid)
        said = [answer.text for answer in DOORS["gdb"](target, ["record", "record", "record stop", "record"])]
        assert said[1].strip() == "already recording, level objects"
        said = [answer.text for answer in DOORS["lldb"](target, ["record", "record stop", "record"])]
        assert said[0].strip() == "already recording, level objects"
        assert "already recording at level objects: `memtrace record stop` first" in record(
            process.pid, "record", "--level", "heap"
        ).stderr  # fmt: skip
        sessions = [DOORS[door](target, ["status --json"])[0].json() for door in DOORS]
        assert {(status["recording"], status["level"]) for status in sessions} == {(True, "objects")}
        assert record(process.pid, "record", "stop").returncode == 0
        again = record(process.pid, "record", "stop")
        assert (again.returncode, again.stderr.strip()) == (1, "memtrace record stop: nothing is being recorded")
        assert record(process.pid).returncode == 0
        allocate(process)
        check_recorded(DOORS["memtrace"], process.pid)
        end(process)


@pytest.mark.parametrize("door", DOORS)
def test_peak_of_a_core(door, tmp_path):
    """What a second recording saw, after a first one, is in a core that somebody else writes."""
    with idle("read") as process:
        begin(process)
        answers = DOORS[door](Target(pid=process.pid), ["record", "record stop", "record"])
        assert len(answers) == 3 and not answers[-1].failed, answers[-1].text
        allocate(process)
        core = gcore(process.pid, tmp_path / "core")
        end(process)
    peak, status = DOORS["memtrace"](Target(core=core, executable=SYSTEM), ["peak --json", "status --json"])
    (row,) = [row for row in peak.json()["rows"] if row["bytes"] >= KNOWN_BYTES]
    assert KNOWN_BYTES < row["bytes"] < KNOWN_BYTES + 100
    assert row["stack"][0]["file"].endswith("idle.py")
    assert status.json()["recording"] and status.json()["attached"]


@pytest.fixture(scope="module")
def other_recorder(tmp_path_factory):
    """As an upgrade would bring it: of another build."""
    sources = sorted((ROOT / "native/recorder").glob("*.c"))
    options = ["-shared", "-fPIC", "-O1", "-std=gnu11", "-D_GNU_SOURCE", f"-I{ROOT / 'native'}"]
    return compiled(tmp_path_factory.mktemp("other") / RECORDER.name, *sources, *options)


def test_recorder_that_was_deleted_or_replaced(other_recorder, tmp_path):
    """What a process has loaded is ended, and begun again, by its own file."""
    if os.geteuid() != 0:
        pytest.skip("only root can open the file behind a mapping")
    for file in (COMMAND, COMMAND.parent / "libmemtrace.so", RECORDER):
        shutil.copy(file, tmp_path)

    def ask(*command):
        result = run([tmp_path / COMMAND.name, "--pid", process.pid, *command], bare_environment())
        assert result.returncode == 0, result.stderr

    with idle("read") as process:
        begin(process)
        ask("record")
        (tmp_path / RECORDER.name).unlink()
        for words in (["record", "stop"], ["record"]):
            ask(*words)
        shutil.copy(other_recorder, tmp_path)
        for words in (["record", "stop"], ["record"]):
            ask(*words)
        allocate(process)
        check_recorded(DOORS["memtrace"], process.pid)
        end(process)


@pytest.mark.parametrize("door", ROUNDS)
def test_threads_in_malloc_and_in_the_loader(door, tmp_path):
    """Others wait, in sleep, accept and epoll_wait. Every round records; nothing of it is seen by any of them."""
    library = compiled(tmp_path / "later.so", ROOT / "tests/recorder/later.c", "-shared", "-fPIC")
    program = compiled(tmp_path / "program", PROGRAMS / "busy_threads.c", "-pthread")
    with running([program, library], bare_environment()) as process:
        for _ in range(ROUNDS[door]):
            answers = DOORS[door](Target(pid=process.pid), ["record", "record stop"])
            assert len(answers) == 2 and not answers[-1].failed, answers[-1].text
        assert not DOORS[door](Target(pid=process.pid), ["record"])[0].failed
        process.stdin.write("x")
        process.stdin.flush()
        assert process.stdout.readline() == "allocated\n"
        live = DOORS["memtrace"](Target(pid=process.pid), ["live --json"])[0].json()
        assert 7654321 in [block["size"] for row in live["rows"] for block in row["blocks_sample"]], live
        process.stdin.write("x")
        process.stdin.flush()
        said, interruptions = process.stdout.readline().split()
        assert said == "done" and process.wait(TIMEOUT) == 0
        # Debuggers interrupt epoll_wait as they attach, also without us.
        assert interruptions == "0" or door != "memtrace"
