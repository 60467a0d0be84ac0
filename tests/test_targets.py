"""Where the bytes come from: a number of a process proves nothing, and a remote process is read by its debugger."""

import json

import pytest

from doors import DOORS, Target, facts, gdb, lldb
from interpreters import MINORS
from stubs import server
from surroundings import (
    PROGRAMS,
    RECORDER,
    gcore,
    recorded_environment,
    require_program,
    running,
    wait_until_asleep,
)


@pytest.fixture
def growing(python):
    with running([python, PROGRAMS / "growing.py"], recorded_environment()) as process:
        yield process


def grow(process):
    process.stdin.write("x")
    process.stdin.flush()
    assert process.stdout.readline() == "ready\n"
    wait_until_asleep(process)


@pytest.mark.parametrize("door", DOORS)
def test_core_of_a_process_that_lives_on(door, growing, python, tmp_path):
    """The core has the number of a process that is there: its memory must not be taken for the core's."""
    live = Target(pid=growing.pid)
    before = facts(DOORS["memtrace"](live, ["live --json"])[0])
    core = Target(core=str(gcore(growing.pid, tmp_path / "core")), executable=python)
    grow(growing)
    after = facts(DOORS["memtrace"](live, ["live --json"])[0])
    assert after["live_bytes"] >= before["live_bytes"] + 1_000_000
    assert facts(DOORS[door](core, ["live --json"])[0]) == before


@pytest.mark.parametrize("interpreter", [one for one in MINORS if one.suite == "forky"], ids=str)
def test_guard_pages_take_nothing_of_the_recording_from_a_core(interpreter, tmp_path):
    """gcore of this machine's gdb leaves out what follows a guard page in its mapping (glibc 2.42 and later)."""
    interpreter.require()
    program = [*interpreter.inside, "/usr/bin/env", f"LD_PRELOAD={RECORDER}", interpreter.path]
    with running([*program, PROGRAMS / "stacks_between.py"]) as process:
        answers = [DOORS["memtrace"](Target(pid=process.pid), ["live --json"])[0]]
        core = str(gcore(process.pid, tmp_path / "core"))
    answers += DOORS["memtrace"](Target(core=core), ["live --json"])
    live, dead = map(facts, answers)
    assert live == dead and live["live_bytes"] > 18_000_000


@pytest.mark.parametrize("debugger", ["gdb", "lldb"])
def test_what_was_read_before_the_process_ran_on_is_forgotten(debugger, python):
    """Two stops of one session: the second answer is the second stop's, and rows are numbered anew."""
    stops = ["memtrace record", "run", "memtrace live --json", "memtrace live --limit 1"]
    stops += ["continue", "memtrace live --json", "memtrace live --limit 1"]
    program = [python, PROGRAMS / "two_stops.py"]
    result = gdb(stops, ["--args", *program]) if debugger == "gdb" else lldb(stops, ["--", *program])
    assert result.returncode == 0, result.stdout + result.stderr
    lines = result.stdout.splitlines()
    first, second = [json.loads(line) for line in lines if line.startswith('{"schema":1')]
    assert second["live_bytes"] >= first["live_bytes"] + 3_000_000
    assert len([line for line in lines if line.startswith("  1 ")]) == 2


COMMANDS = ["peak --json", "live --json", "live --by function --json"]


def test_remote_gdb(growing):
    require_program("gdbserver")
    expected = [facts(answer) for answer in DOORS["memtrace"](Target(pid=growing.pid), COMMANDS)]
    server = f"target remote | gdbserver --once - --attach {growing.pid}"
    answers = DOORS["gdb"](Target(), COMMANDS, before=["set sysroot /", server])
    assert [facts(answer) for answer in answers] == expected
    assert answers[0].json()["target"]["kind"] == "remote"


def test_remote_lldb(growing):
    expected = [facts(answer) for answer in DOORS["memtrace"](Target(pid=growing.pid), COMMANDS)]
    with server("lldb-server", growing.pid) as address:
        answers = DOORS["lldb"](Target(), COMMANDS, before=[f"gdb-remote {address}"])
    assert [facts(answer) for answer in answers] == expected
    assert answers[0].json()["target"]["kind"] == "remote"
