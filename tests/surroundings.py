"""What tests need around them: where things are, a clean environment, processes that end with their test, cores."""

import contextlib
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("BUILD", ROOT / "build")).resolve()
PROGRAMS = ROOT / "tests/programs"
EXAMPLES = ROOT / "examples"
RECORDER = BUILD / "libmemtrace-recorder.so"
LIBRARY = BUILD / "libmemtrace.so"
COMMAND = BUILD / "memtrace"
LLDB = "lldb-19"

TIMEOUT = 120  # seconds, of any one command

# What a user's shell may have set and what would change an answer or a debugger.
UNWANTED = ("PYTHON", "DEBUGINFOD", "LD_", "MEMTRACE", "NO_COLOR", "LC_", "LINES", "COLUMNS")


def clean_environment(**more):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(UNWANTED)}
    environment.update(LANG="C", TERM="dumb", SHELL="/bin/sh", MEMTRACE_LIBRARY=str(LIBRARY), **more)
    return environment


def bare_environment(**more):
    """What a program has that nobody records: not even our own variables for the debuggers."""
    environment = clean_environment(**more)
    del environment["MEMTRACE_LIBRARY"]
    return environment


def recorded_environment(level=None, **more):
    """The environment contract (docs/environment.md): what makes a program record itself."""
    if level is not None:
        more["MEMTRACE_LEVEL"] = level
    return bare_environment(LD_PRELOAD=str(RECORDER), **more)


def run(command, environment=None, timeout=TIMEOUT, stdin=subprocess.DEVNULL, **options):
    """A finished command: its status, stdout and stderr as text. Its standard input is empty, unless said otherwise."""
    return subprocess.run(
        [str(word) for word in command],
        env=clean_environment() if environment is None else environment,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=timeout,
        encoding="utf-8",
        errors="surrogateescape",
        **options,
    )


def make(target, seconds):
    """Builds one more target of the Makefile into BUILD. By the path that `make` alone uses: what it notes of the headers that
    were included names files so."""
    made = subprocess.run(
        ["make", "-C", ROOT, "-s", f"BUILD={os.path.relpath(BUILD, ROOT)}", target],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=seconds,
        text=True,
    )
    assert made.returncode == 0, made.stdout


@contextlib.contextmanager
def running(command, environment=None, ready="ready\n", **options):
    """A process that has said that it is ready and waits for input; killed when the test leaves it."""
    process = subprocess.Popen(
        [str(word) for word in command],
        env=clean_environment() if environment is None else environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )
    try:
        if ready is not None:
            line = process.stdout.readline()
            assert line == ready, f"{command} said {line!r} and ended with {process.poll()}"
            wait_until_asleep(process)
        yield process
    finally:
        process.kill()
        process.wait(TIMEOUT)
        process.stdin.close()
        process.stdout.close()


def wait_until(condition, what, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain: {what}"
        time.sleep(0.02)


def wait_until_asleep(process):
    """What has just said that it is ready is still on its way to the read that it will wait in, and may allocate there."""
    wait_until_pid_sleeps(process.pid)


def wait_until_pid_sleeps(pid):
    status = pathlib.Path(f"/proc/{pid}/stat")
    wait_until(lambda: status.read_text().rpartition(") ")[2].startswith("S"), f"process {pid} to wait for input")


def allow_cores():
    """For preexec_fn: the kernel may write a core of any size."""
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def require_kernel_cores():
    pattern = pathlib.Path("/proc/sys/kernel/core_pattern").read_text().strip()
    if pattern.startswith("|") or "/" in pattern:
        pytest.skip(f"the kernel does not leave cores in the working directory (core_pattern is {pattern})")
    if resource.getrlimit(resource.RLIMIT_CORE)[1] != resource.RLIM_INFINITY and os.geteuid() != 0:
        pytest.skip("cores are limited here (ulimit -H -c)")


def kernel_core(process, directory):
    """Kills `process`, whose working directory is `directory`, by SIGABRT; the core that the kernel then wrote."""
    process.send_signal(signal.SIGABRT)
    process.wait(TIMEOUT)
    cores = [path for path in pathlib.Path(directory).iterdir() if path.name.startswith("core")]
    assert len(cores) == 1, f"the kernel left {[path.name for path in cores]} in the working directory"
    return cores[0]


def gcore(pid, path, root=()):
    """A core that gdb writes of a process, which goes on living. `root`: the command that leads to another gdb."""
    result = run([*root, "gdb", "-nx", "-batch", "-iex", "set debuginfod enabled off", "-p", pid, "-ex", f"gcore {path}"])
    assert pathlib.Path(path).exists(), result.stderr
    return pathlib.Path(path)


def require_program(name):
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
