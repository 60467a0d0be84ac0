"""A process that a server holds: the same answers as from a local one, by the debugger's own reads, and never by those of
a local process that happens to have the same number."""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import time

import pytest

from console import Console
from doors import DOORS, GDB_ADAPTER, Target, facts
from interpreters import EVERYWHERE, Interpreter
from stubs import CONNECT, PAIRS, server
from surroundings import PROGRAMS, TIMEOUT, clean_environment, require_program, running, wait_until_asleep

PROGRAM = PROGRAMS / "held_here_and_there.py"
# One of each way in which CPython's state is found and laid out.
CHOSEN = ("3.11-system", "3.9-bullseye", "3.13-trixie", "3.14-forky", "3.15-forky")
INTERPRETERS = [one for one in EVERYWHERE if one.name in CHOSEN]


@contextlib.contextmanager
def connected(debugger, stub, pid):
    """The door to a process through a server, as a function of commands."""
    with server(stub, pid) as address:
        before = [f"{CONNECT[debugger]} {address}"]
        # Else lldb takes the process with it when it ends.
        after = {"after": ["detach"]} if debugger == "lldb" else {}
        yield lambda commands: DOORS[debugger](Target(), commands, before=before, **after)


def addresses(pid):
    """Of some objects, small and large."""
    local = DOORS["memtrace"](Target(pid=pid), [f"instances --json --limit 3 {kind}" for kind in KINDS])
    return [row["address"] for answer in local for row in answer.json()["rows"]]


KINDS = ("Node", "Slots", "deque", "Thread", "module")


@pytest.mark.parametrize("interpreter", INTERPRETERS, ids=str, indirect=True)
def test_same_answers(interpreter):
    with running([*interpreter.inside, interpreter.path, PROGRAM]) as process:
        wait_until_asleep(process)
        commands = [f"{command} --json" for command in ("types", "threads", "audit", "caches", "instances Node")]
        commands += ["instances --json Node", "object --json py@1:wanted", "path --json py@1:wanted"]
        commands += ["who-holds --json py@1:wanted", "who-holds --type Node --json"]
        commands += [f"who-holds --json {address}" for address in addresses(process.pid)]
        expected = [facts(answer) for answer in DOORS["memtrace"](Target(pid=process.pid), commands)]
        assert len(expected) == len(commands)
        for debugger, stub in PAIRS:
            with connected(debugger, stub, process.pid) as ask:
                answers = ask(commands)
            assert len(answers) == len(commands), (debugger, stub, answers[-1].text)
            for command, answer, known in zip(commands, answers, expected):
                assert facts(answer) == known, (debugger, stub, command)
                assert answer.json()["target"]["kind"] == "remote"
                assert answer.json()["warnings"] == []
