"""The kernel refuses memory to the recorder: the program lives and ends right, and the recorder says what it could not record."""

import json
import os
import pathlib
import resource
import subprocess

import pytest

import support
import surroundings
from torture_support import HERE, STRESS
from surroundings import COMMAND, RECORDER

IMPOSSIBLE = 125
A_WHILE = 1000  # calls: while memory is out, the recorder asks for some at every event
CALLS_MAX = 200  # of the recorder's mmap calls in one run: many more means that it does not grow as it should


@pytest.fixture(scope="session")
def commands(built_program):
    return {
        "C": [built_program("much_memory")],
        "Python": ["/usr/bin/python3", HERE / "much_memory.py"],
    }


@pytest.fixture(scope="session")
def faults(built_program):
    return built_program("mmap_faults")


def wait_until_it_waits(pid):
    """Until the program reads its standard input: from then on nothing of it changes."""
    surroundings.wait_until(lambda: pathlib.Path(f"/proc/{pid}/syscall").read_text().startswith("0 0x0 "), "the program reads")


def ask(pid, *command):
    result = surroundings.run([COMMAND, "--pid", pid, *command, "--json"], timeout=30)
    return result.returncode, json.loads(result.stdout)


class Run:
    """One run with failing calls: what the program said, and what the recorder answered at its end."""

    def __init__(self, faults, command, level, first, last):
        read_end, write_end = os.pipe()
        words = [faults, str(first), str(last), RECORDER, "--", *command]
        environment = support.plain_environment(MEMTRACE_LEVEL=level)
        process = subprocess.Popen(
            [str(word) for word in words],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: os.dup2(write_end, 3),
            pass_fds=(3, write_end),
        )
        os.close(write_end)
        self.output = process.stdout.readline()
        pid = process.stdout.readline()
        if pid:
            wait_until_it_waits(pid.strip())
            self.status_code, self.status = ask(pid.strip(), "status")
            self.live_code, self.live = ask(pid.strip(), "live")
            self.peak_code, self.peak = ask(pid.strip(), "peak")
        process.communicate("\n", timeout=60)
        self.returncode = process.returncode
        counts = os.read(read_end, 1000)
        os.close(read_end)
        if self.returncode == IMPOSSIBLE:
            pytest.skip("this machine does not allow seccomp notifications")
        self.calls, self.failed = json.loads(counts)["calls"], json.loads(counts)["failed"]

    def check(self, bare):
        assert (self.output, self.returncode) == (bare, 0)
        assert self.status_code == 0
        if self.status["state"] == "dormant":
            assert self.status["dropped_by"]["memory"] > 0
            return
        assert (self.live_code, self.peak_code) == (0, 0)
        assert self.live["live_bytes"] == sum(row["bytes"] for row in self.live["rows"]) == self.status["live_bytes"]
        assert self.peak["peak_bytes"] == sum(row["bytes"] for row in self.peak["rows"]) == self.status["peak_bytes"]
        assert self.status["dropped"] == self.status["dropped_by"]["memory"]


def bare_output(command):
    words = [str(word) for word in command]
    result = subprocess.run(words, env=support.plain_environment(), input="\n", capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines(keepends=True)[0]


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "for_a_while"])
@pytest.mark.parametrize("program, level", [("C", "heap"), ("Python", "objects"), ("Python", "heap")])
def test_every_mmap_of_the_recorder_fails_in_turn(faults, commands, program, level, lasting):
    if (program, level) == ("Python", "heap") and not STRESS:
        pytest.skip("in `make stress` only: 30 seconds more of the same")
    command = commands[program]
    bare = bare_output(command)
    whole = Run(faults, command, level, 0, 0)
    whole.check(bare)
    assert whole.status["dropped"] == 0 and whole.calls > 10
    lost = 0
    for first in range(1, CALLS_MAX):
        run = Run(faults, command, level, first, first + A_WHILE if lasting else first)
        run.check(bare)
        if run.failed == 0:
            break
        dropped = run.status["dropped"]
        lost += dropped
        if program == "C" and run.status["state"] != "dormant":
            # What the program did is the same each time: a block that is missing, or that is there too much, was dropped.
            assert abs(run.status["live_blocks"] - whole.status["live_blocks"]) <= dropped
    else:
        pytest.fail(f"the recorder asks for memory more than {CALLS_MAX} times")
    # A single refusal costs nothing: the recorder asks for less, or again.
    assert (lost > 0) == lasting


FILL = """
import mmap, os, sys
kept, maps, small, spare = [], [], [], [str(i) for i in range(5000)]
try:
    while True:
        kept.append(bytearray(3000 + len(kept) % 7))
except MemoryError:
    full = len(kept)
try:
    while True:
        maps.append(mmap.mmap(-1, 4096))
except (MemoryError, OSError):
    pass
del spare
for i in range(0, full, 2):  # room for the program, but for nobody who asks the kernel
    kept[i] = None
try:
    for i in range(5 * full):
        small.append(bytearray(520 + i % 100))
except MemoryError:
    pass
del kept, small
again = [str(i) * 3 for i in range(1000)]
print(full > 100, sum(map(len, again)))
print(os.getpid(), flush=True)
sys.stdin.readline()
"""


@pytest.mark.parametrize("level", support.LEVELS)
def test_address_space_limit(level):
    """RLIMIT_AS, from just enough to start up to plenty: the program gets its MemoryError, as it would alone, and goes on."""
    dropped = answered = 0
    for mebibytes in range(26, 60, 3):
        limit = mebibytes << 20
        process = subprocess.Popen(
            ["/usr/bin/python3", "-c", FILL],
            env=support.recorded_environment(level),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
        )
        answer, pid = process.stdout.readline(), process.stdout.readline()
        if pid:
            assert answer == "True 8670\n"
            wait_until_it_waits(pid.strip())
            code, status = ask(pid.strip(), "status")
            live_code, live = ask(pid.strip(), "live")
            peak_code, peak = ask(pid.strip(), "peak")
            assert (code, live_code, peak_code) == (0, 0, 0)
            assert live["live_bytes"] == sum(row["bytes"] for row in live["rows"])
            assert peak["peak_bytes"] == sum(row["bytes"] for row in peak["rows"])
            dropped += status["dropped_by"]["memory"]
        _, errors = process.communicate("\n", timeout=60)
        assert process.returncode >= 0, f"killed by signal {-process.returncode} under {mebibytes} MiB: {errors}"
        answered += bool(pid)
        assert pid or "emory" in errors or "cannot allocate" in errors or "failed to map" in errors, errors
    assert answered > 0 and dropped > 0
