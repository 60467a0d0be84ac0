"""The child of a fork goes on with its own copy of the books, which no longer wait for the threads that it has not got."""

import json
import subprocess

import support
from surroundings import COMMAND, TIMEOUT

import surroundings

CHILDREN = 20


def ask(pid, *command):
    result = surroundings.run([COMMAND, "--pid", pid, *command, "--json"])
    assert result.returncode == 0, result.stdout
    return json.loads(result.stdout)


def test_children_of_a_program_with_threads(built_program):
    program = built_program("forked_children")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen([program, str(CHILDREN)], env=support.recorded_environment("heap"), text=True, **pipes)
    try:
        for pid in [process.stdout.readline().strip() for _ in range(CHILDREN)]:
            surroundings.wait_until(lambda pid=pid: open(f"/proc/{pid}/syscall").read().startswith("0 0x0 "), "the child reads")
            status, live = ask(pid, "status"), ask(pid, "live", "--by", "thread")
            assert (status["in_flight"], status["dropped"]) == (0, 0)
            assert status["live_bytes"] == live["live_bytes"] == sum(row["bytes"] for row in live["rows"])
            # 1003, 1004, what pthread_create took for three threads, and at most one block of each that it was just using
            own = 1003 + 1004
            assert own + 3 * 100 <= status["live_bytes"] <= own + 3 * 1000 + 3 * 3000
        process.communicate("", timeout=TIMEOUT)
        assert process.returncode == 0
    finally:
        process.kill()
        process.wait(TIMEOUT)
