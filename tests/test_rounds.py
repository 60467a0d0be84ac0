"""Recording a process that already runs, at random moments and with debuggers that die: the process never notices.

In CI a few rounds of every kind; with MEMTRACE_STRESS=1 as many as a promise takes. ROUNDS says otherwise."""

import os

import pytest

from rounds import INTERPRETERS, Cell, play, play_kill_at, play_kills

STRESS = os.environ.get("MEMTRACE_STRESS") == "1"
CHOSEN = int(os.environ.get("ROUNDS", "0"))
ROUNDS = {"memtrace": 200 if STRESS else 4, "gdb": 200 if STRESS else 2, "lldb": 50 if STRESS else 1}
KILLS = 50 if STRESS else 3
CELLS = [Cell(minor, door) for minor in INTERPRETERS for door in ROUNDS]
# lldb that is killed within a few milliseconds takes the process with it (docs/architecture.md), and CI must not throw
# dice.
SAFE = [cell for cell in CELLS if cell.door != "lldb"]
KILLED = CELLS if STRESS or CHOSEN else SAFE


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_rounds(cell):
    """Four threads that allocate, import, fork and calculate: recorded or refused, never harmed."""
    cell.require()
    tally = play(cell, CHOSEN or ROUNDS[cell.door])
    assert sum(tally.refused.values()) <= 0.02 * tally.rounds, str(tally)


@pytest.mark.parametrize("cell", KILLED, ids=str)
def test_killed_debugger(cell):
    cell.require()
    play_kills(cell, CHOSEN or KILLS)


def test_gdb_killed_at_every_step():
    """Whatever it was doing to the thread that it was lent: it goes home by itself."""
    cell = Cell(11, "gdb")
    cell.require()
    steps = 0
    while play_kill_at(cell, f"registers {steps + 1}"):
        steps += 1
    assert steps >= 5
    for run_number in (1, 2, 3):
        for milliseconds in (0, 1, 2, 4) if STRESS else (1,):
            play_kill_at(cell, f"running {run_number} {milliseconds}")
