"""Processes that run already when somebody begins to record them, and what must become of them."""

import subprocess
import time

import pytest

from doors import Target
from interpreters import SYSTEM
from surroundings import COMMAND, PROGRAMS, TIMEOUT, bare_environment, run, running

IDLE = PROGRAMS / "idle.py"
KNOWN_LINE, KNOWN_BYTES = "idle.py", 5_000_000


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


def compiled(path, *sources_and_options, compiler="gcc"):
    """`path`, a program made of C files; skips where the compiler can't."""
    made = subprocess.run([compiler, "-o", path, *sources_and_options], capture_output=True, text=True)
    if made.returncode:
        pytest.skip("this compiler can't: " + made.stderr.strip().splitlines()[-1])
    return path
