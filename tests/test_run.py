"""`memtrace run`: the program runs, ends and is controlled as without us, and its report comes after it."""

import ctypes
import json
import os
import pathlib
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

import pytest

from surroundings import COMMAND, RECORDER, TIMEOUT, clean_environment, run, wait_until

LAST = pathlib.Path(__file__).resolve().parent / "programs/ends_of_threads.c"


def bare_environment(**more):
    environment = clean_environment(**more)
    del environment["MEMTRACE_LIBRARY"]
    return environment


def run_recorded(program, *options, environment=None, **more):
    return run([COMMAND, "run", *options, "--", *program], environment or bare_environment(), **more)


def code(text):
    return [sys.executable, "-c", text]


@pytest.fixture
def start(tmp_path):
    """Starts `memtrace run` of a program in the background, its report going to tmp_path/peak."""
    started = []

    def begin(program, **options):
        process = subprocess.Popen(
            [COMMAND, "run", "--out", tmp_path / "peak", "--", *program],
            env=bare_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            **options,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait(TIMEOUT)
        process.stdin.close()
        process.stdout.close()


def state_of(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


# --- how it ends ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [0, 1, 3, 255])
@pytest.mark.parametrize("how", ["sys.exit", "os._exit"])
def test_exit_status(status, how):
    result = run_recorded(code(f"import os, sys; kept = bytearray(20_000_000); {how}({status})"))
    assert result.returncode == status
    assert result.stderr == ""
    assert re.match(r"peak 2\d\.\d MB", result.stdout)


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGTERM", "SIGKILL", "SIGPIPE", "SIGUSR1", "SIGRTMIN"])
def test_killed_by_a_signal(name, tmp_path):
    number = getattr(signal, name)
    program = f"import os, signal; signal.signal({int(number)}, signal.SIG_DFL) if {int(number)} != 9 else 0; "
    program += f"kept = bytearray(20_000_000); os.kill(os.getpid(), {int(number)})"
    result = run_recorded(code(program), cwd=tmp_path)
    assert result.returncode == -number
    assert result.stdout.startswith("peak 2")
    assert list(tmp_path.iterdir()) == [] or [path.name.startswith("core") for path in tmp_path.iterdir()] == [True]


def test_killed_from_outside(start, tmp_path):
    process = start(code("import os, time; kept = bytearray(20_000_000); print(os.getpid(), flush=True); time.sleep(100)"))
    os.kill(int(process.stdout.readline()), signal.SIGKILL)
    assert process.wait(TIMEOUT) == -signal.SIGKILL
    assert (tmp_path / "peak").read_text().startswith("peak 2")


@pytest.mark.parametrize(
    "program, status, words",
    [
        (["no-such-program"], 127, "can't run no-such-program"),
        (["./no-such-program"], 127, "can't run ./no-such-program"),
        (["/etc/passwd"], 126, "Permission denied"),
        (["/etc"], 126, "Permission denied"),
    ],
)
def test_what_can_not_be_run(program, status, words):
    result = run_recorded(program)
    assert (result.returncode, result.stdout) == (status, "")
    assert len(result.stderr.splitlines()) == 1 and result.stderr.startswith("memtrace: ") and words in result.stderr


@pytest.mark.parametrize(
    "arguments, words",
    [
        ([], "program"),
        (["--"], "program"),
        (["--level", "all", "--", "true"], "all"),
        (["--level"], "--level"),
        (["--nonsense", "--", "true"], "--nonsense"),
    ],
)
def test_wrong_usage(arguments, words):
    result = run([COMMAND, "run", *arguments])
    assert (result.returncode, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1 and words in result.stderr and "usage" in result.stderr.lower()


def compile_c(source, path, *options):
    subprocess.run(["gcc", "-O1", "-o", path, source, "-lpthread", *options], check=True, timeout=60)
    return path


@pytest.mark.parametrize("round", range(5))
@pytest.mark.parametrize("end", ["main-first", "other-exits", "other-crashes", "return"])
def test_ends_of_threads(tmp_path, end, round):
    """Whichever thread ends the process, what all of them had allocated is in the report."""
    program = compile_c(LAST, tmp_path / "threads")
    result = run_recorded([program, end])
    status = {"main-first": 0, "other-exits": 9, "other-crashes": -signal.SIGSEGV, "return": 4}[end]
    assert (result.returncode, result.stderr) == (status, "")
    peak = json.loads(run_recorded([program, end], "--json").stdout)
    assert 8 * 1_000_000 <= peak["peak_bytes"] < 8 * 1_000_000 + 50_000
    assert sum(row["live_bytes"] for row in peak["rows"]) >= 8 * 1_000_000


def test_exec_by_another_thread(tmp_path):
    program = compile_c(LAST, tmp_path / "threads")
    result = run_recorded([program, "exec", sys.executable, "-c", "print('second'); raise SystemExit(6)"])
    assert (result.returncode, result.stdout) == (6, "second\n")
    assert result.stderr.count("\n") == 1 and "not recorded" in result.stderr


def test_shell_script_in_front(tmp_path):
    """The report is about the program that the script becomes."""
    script = tmp_path / "python"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    script.chmod(0o755)
    result = run_recorded([script, "-c", "kept = bytearray(30_000_000)"])
    assert result.returncode == 0
    assert re.match(r"peak 3\d\.\d MB", result.stdout)


def test_static_program(tmp_path):
    source = tmp_path / "static.c"
    source.write_text("int main(void) { return 5; }\n")
    result = run_recorded([compile_c(source, tmp_path / "static", "-static")])
    assert (result.returncode, result.stdout) == (5, "")
    assert result.stderr.count("\n") == 1 and "not recorded" in result.stderr


def forbid_ptrace():
    """For preexec_fn: a seccomp filter under which ptrace fails with EPERM, as in many containers."""
    instruction = struct.Struct("HBBI")
    sys_ptrace, architecture_and_number = 101, 0
    program = b"".join(
        [
            instruction.pack(0x20, 0, 0, architecture_and_number),  # load the number of the call
            instruction.pack(0x15, 0, 1, sys_ptrace),  # another one: skip the next
            instruction.pack(0x06, 0, 0, 0x00050001),  # fail with EPERM
            instruction.pack(0x06, 0, 0, 0x7FFF0000),  # allow
        ]
    )
    buffer = ctypes.create_string_buffer(program)
    filter = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 4, ctypes.addressof(buffer)))
    libc = ctypes.CDLL(None)
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    assert libc.prctl(22, 2, ctypes.byref(filter), 0, 0) == 0


def test_without_ptrace():
    result = run_recorded(code("print('ran'); raise SystemExit(7)"), preexec_fn=forbid_ptrace)
    assert (result.returncode, result.stdout) == (7, "ran\n")
    assert result.stderr.count("\n") == 1 and "ptrace" in result.stderr


# --- what the program sees --------------------------------------------------------------------------------------------

LOOK = r"""
import json, os, resource
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
seen = {name: status[name].strip() for name in ("SigBlk", "SigIgn", "SigCgt", "ShdPnd", "Groups", "NoNewPrivs", "Seccomp")}
seen["environment"] = dict(os.environ)
seen["files"] = {}
for fd in os.listdir("/proc/self/fd"):
    try:
        seen["files"][fd] = os.readlink("/proc/self/fd/" + fd).split(":")[0]
    except FileNotFoundError:
        pass  # the one that listed them
seen["group"] = os.getpgid(0) == os.getpgid(os.getppid())
seen["session"] = os.getsid(0)
seen["limits"] = [resource.getrlimit(limit) for limit in (resource.RLIMIT_CORE, resource.RLIMIT_NOFILE, resource.RLIMIT_AS)]
seen["umask"] = os.umask(0)
seen["directory"] = os.getcwd()
seen["priority"] = os.getpriority(os.PRIO_PROCESS, 0)
print(json.dumps(seen))
"""


def ignore_some():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2, signal.SIGWINCH})
    os.umask(0o27)
    os.nice(3)


def keep_default():
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)


@pytest.mark.parametrize("before", [keep_default, ignore_some])
@pytest.mark.parametrize("preload", [None, "libm.so.6"])
def test_program_sees_what_it_would_see(before, preload):
    environment = bare_environment(**({"LD_PRELOAD": preload} if preload else {}))
    inherited = os.open("/dev/null", os.O_RDONLY)
    options = dict(preexec_fn=before, pass_fds=[inherited])
    bare = json.loads(run(code(LOOK), environment, **options).stdout)
    result = run([COMMAND, "run", "--out", "/dev/null", "--", *code(LOOK)], environment, **options)
    os.close(inherited)
    seen = json.loads(result.stdout)
    assert result.returncode == 0
    assert {name: (bare[name], seen[name]) for name in bare if bare[name] != seen[name] and name != "group"} == {}
    assert seen["group"]


def test_signals_arrive_once_and_in_order():
    """Queued signals, each with its own payload, from a child of the program."""
    program = """
import os, signal, time
got = []
signal.signal(signal.SIGUSR1, lambda *a: got.append("handler"))
for i in range(1000):
    os.kill(os.getpid(), signal.SIGUSR1)
print(len(got))
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGRTMIN})
for i in range(100):
    os.kill(os.getpid(), signal.SIGRTMIN)
print(sum(signal.sigtimedwait({signal.SIGRTMIN}, 0) is not None for i in range(100)), signal.sigtimedwait({signal.SIGRTMIN}, 0))
signal.setitimer(signal.ITIMER_REAL, 0.05)
signal.signal(signal.SIGALRM, lambda *a: print("alarm"))
print(signal.sigwait({signal.SIGALRM}) if False else signal.pause())
"""
    assert run_recorded(code(program), "--out", "/dev/null").stdout == "1000\n100 None\nalarm\nNone\n"


def test_children_live_on(tmp_path):
    """A child that the program leaves behind is not waited for, and not recorded."""
    program = """
import os, time
if os.fork() == 0:
    os.setsid()
    for fd in (0, 1, 2):
        os.close(fd)
    open("pid", "w").write(str(os.getpid()))
    os.rename("pid", "child")
    time.sleep(100)
while not os.path.exists("child"):
    time.sleep(0.01)
"""
    result = run_recorded(code(program), cwd=tmp_path)
    child = int((tmp_path / "child").read_text())
    status = pathlib.Path(f"/proc/{child}/status").read_text()
    os.kill(child, signal.SIGKILL)
    assert result.returncode == 0 and result.stdout.startswith("peak ")
    assert "TracerPid:\t0\n" in status


def test_program_outlives_us(start):
    process = start(code("import os; print(os.getpid(), flush=True); input(); open('/dev/null')"))
    pid = int(process.stdout.readline())
    process.kill()
    process.wait(TIMEOUT)
    assert "TracerPid:\t0\n" in pathlib.Path(f"/proc/{pid}/status").read_text()
    assert state_of(pid) in "SR"
    process.stdin.write("\n")
    process.stdin.flush()
    wait_until(lambda: not pathlib.Path(f"/proc/{pid}").exists() or state_of(pid) == "Z", "the program to end by itself")


# --- reports ----------------------------------------------------------------------------------------------------------


def test_report_comes_last():
    result = run_recorded(code("import os; os.write(1, b'early '); print('late')"))
    assert re.match(r"early late\npeak ", result.stdout)


def test_report_command_and_json(tmp_path):
    out = tmp_path / "report.json"
    result = run_recorded(code("kept = bytearray(20_000_000); import os; os._exit(0)"), "--report", "live --by allocator",
                          "--level", "heap", "--json", "--out", out)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    answer = json.loads(out.read_text())
    assert answer["schema"] == 1 and answer["command"] == "live" and answer["live_bytes"] > 20_000_000
    assert list(tmp_path.iterdir()) == [out]


def test_report_into_files(tmp_path):
    old = tmp_path / "old"
    old.write_text("old text\n" * 1000)
    old.chmod(0o640)
    link = tmp_path / "link"
    link.symlink_to(old)
    assert run_recorded(["true"], "--out", link).returncode == 0
    assert old.read_text().startswith("peak ") and "old text" not in old.read_text()
    assert link.is_symlink() and old.stat().st_mode & 0o777 == 0o640
    result = run_recorded(["true"], "--out", "/dev/stdout")
    assert result.stdout.startswith("peak ")
    os.umask(mask := os.umask(0))
    assert run_recorded(["true"], "--out", tmp_path / "new").returncode == 0
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o666 & ~mask


@pytest.mark.parametrize("out", ["/no/such/folder/peak", "/proc", "."])
def test_report_that_can_not_be_written(out, tmp_path):
    """Said before the program has run, not after."""
    result = run_recorded(code("open('ran', 'w')"), "--out", out, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.count("\n") == 1 and out in result.stderr
    assert not (tmp_path / "ran").exists()


def test_wrong_report_command():
    result = run_recorded(code("print('ran')"), "--report", "bogus")
    assert (result.returncode, result.stdout) == (0, "ran\n")
    assert result.stderr.count("\n") == 1 and "bogus" in result.stderr


def test_nobody_reads(tmp_path):
    """As in `memtrace run -- yes | head`: the program dies of SIGPIPE, and so do we, in silence."""
    process = subprocess.Popen(
        [COMMAND, "run", "--", "yes"],
        env=bare_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=keep_default,
    )
    process.stdout.read(10)
    process.stdout.close()
    assert process.wait(TIMEOUT) == -signal.SIGPIPE
    assert process.stderr.read() == b""
    process.stderr.close()


# A signal that comes right before Python begins to read is handled only after that; so these programs look now and then.
WAIT_FOR_INPUT = """
import select
while not select.select([0], [], [], 0.05)[0]:
    pass
"""

# --- signals sent to us -----------------------------------------------------------------------------------------------

CATCH = """
import os, signal, sys, time
def caught(number, frame):
    os.write(1, b"caught %d\\n" % number)
for number in (1, 2, 3, 10, 12, 15, 28, 34, 40):
    signal.signal(number, caught)
print(os.getpid(), flush=True)
""" + WAIT_FOR_INPUT


def test_signals_are_passed_on(start):
    process = start(code(CATCH))
    process.stdout.readline()
    for number in (1, 2, 3, 10, 12, 15, 28, 34, 40):
        process.send_signal(number)
        assert process.stdout.readline() == f"caught {number}\n"
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.wait(TIMEOUT) == 0


def test_deadly_signal_is_passed_on(start, tmp_path):
    process = start(code("print('ready', flush=True); input()"))
    process.stdout.readline()
    process.terminate()
    assert process.wait(TIMEOUT) == -signal.SIGTERM
    assert (tmp_path / "peak").read_text().startswith("peak ")


def test_stopped_from_outside_and_continued(start):
    """By the number of the program alone: only the program stops, and goes on."""
    process = start(code("import os; print(os.getpid(), flush=True); print(input(), flush=True)"))
    pid = int(process.stdout.readline())
    for _ in range(3):
        os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: state_of(pid) in "Tt", "the program to stop")
        time.sleep(0.05)
        assert state_of(process.pid) == "S"
        os.kill(pid, signal.SIGCONT)
        wait_until(lambda: state_of(pid) == "S", "the program to go on")
    process.stdin.write("done\n")
    process.stdin.flush()
    assert process.stdout.readline() == "done\n"
    assert process.wait(TIMEOUT) == 0


@pytest.mark.parametrize("name", ["SIGSTOP", "SIGTSTP"])
def test_program_stops_itself(start, name):
    """Its parent (a shell, this test) sees us stop by the same signal; SIGCONT to us means the program."""
    # A group of its own, as a shell would give it: the kernel ignores SIGTSTP where no parent of the session is left.
    program = code(f"import os, signal; os.kill(os.getpid(), signal.{name}); print('went on', flush=True)")
    process = start(program, process_group=0)
    stopped = os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT | os.WEXITED)
    assert (stopped.si_code, stopped.si_status) == (os.CLD_STOPPED, getattr(signal, name))
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)
    process.send_signal(signal.SIGCONT)
    assert process.stdout.readline() == "went on\n"
    assert process.wait(TIMEOUT) == 0


# --- on a terminal ----------------------------------------------------------------------------------------------------


class Terminal:
    """A shell with job control on a terminal of its own."""

    def __init__(self):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], bare_environment(PS1="$ ", HISTFILE=""))
        attributes = termios.tcgetattr(self.fd)
        attributes[3] &= ~termios.ECHO
        termios.tcsetattr(self.fd, termios.TCSANOW, attributes)
        self.text = ""
        self.type("stty -echo; bind 'set enable-bracketed-paste off'; PS1=; echo be''gin\n")
        self.expect("begin")

    def type(self, text):
        os.write(self.fd, text.encode())

    def expect(self, pattern, seconds=20):
        deadline = time.monotonic() + seconds
        while not (match := re.search(pattern, self.text)):
            left = deadline - time.monotonic()
            assert left > 0 and select.select([self.fd], [], [], left)[0], f"no {pattern!r} in {self.text!r}"
            self.text += os.read(self.fd, 4096).decode(errors="replace").replace("\r", "")
        self.text = self.text[match.end() :]
        return match

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.close(self.fd)
        os.waitpid(self.pid, 0)


@pytest.fixture
def terminal():
    terminal = Terminal()
    yield terminal
    terminal.close()


def shell_line(program, *options):
    return " ".join("'%s'" % word for word in [COMMAND, "run", *options, "--", *code(program)])


def test_ctrl_c(terminal, tmp_path):
    """Ends the program as it would end it, and the shell sees that; a program that handles it goes on."""
    program = tmp_path / "program.py"
    program.write_text("print('rea' 'dy')" + WAIT_FOR_INPUT)
    terminal.type(f"'{COMMAND}' run -- '{sys.executable}' '{program}'\n")
    terminal.expect("ready")
    terminal.type("\x03")
    terminal.expect("KeyboardInterrupt")
    terminal.expect("peak ")
    terminal.expect("try:.*")
    terminal.type("echo status=$?\n")
    terminal.expect("status=130")
    handler = "import os, signal; signal.signal(2, lambda *a: os.write(1, b'handled'))\n"
    program.write_text(handler + program.read_text() + "print(input()); raise SystemExit(9)")
    terminal.type(f"'{COMMAND}' run -- '{sys.executable}' '{program}'; echo status=$?\n")
    terminal.expect("ready")
    terminal.type("\x03")
    terminal.expect("handled")
    terminal.type("a line\n")
    terminal.expect("a line")
    terminal.expect("peak ")
    terminal.expect("status=9")


def test_ctrl_z_and_fg(terminal):
    program = 'import os, sys; print("pid", os.getpid(), flush=True); print("got", sys.stdin.readline()); raise SystemExit(8)'
    terminal.type(shell_line(program) + "\n")
    pid = int(terminal.expect(r"pid (\d+)").group(1))
    for _ in range(3):
        terminal.type("\x1a")
        terminal.expect(r"Stopped")
        wait_until(lambda: state_of(pid) in "Tt", "the program to stop")
        terminal.type("jobs\n")
        terminal.expect(r"Stopped")
        terminal.type("fg\n")
        terminal.expect(r"memtrace")
        wait_until(lambda: state_of(pid) == "S", "the program to go on")
    terminal.type("hello\n")
    terminal.expect("got hello")
    terminal.expect("peak ")
    terminal.type("echo status=$?\n")
    terminal.expect("status=8")


def test_background_reader_is_stopped(terminal):
    """A job in the background that reads the terminal stops until it is brought to the front."""
    terminal.type(shell_line('print("got", input())') + " &\n")
    terminal.expect(r"\[1\]")
    time.sleep(0.5)
    terminal.type("jobs\n")
    terminal.expect(r"Stopped")
    terminal.type("fg\n")
    terminal.expect("memtrace")
    time.sleep(0.2)
    terminal.type("hello\n")
    terminal.expect("got hello")
    terminal.expect("peak ")


def test_recorder_is_beside_the_command():
    assert RECORDER.parent == COMMAND.parent
