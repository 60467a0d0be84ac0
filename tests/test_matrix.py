"""CPython 3.13 under gdb 16 and lldb 19, all of Debian trixie: the doors work there as here, and across the border."""

import pytest

from doors import DOORS, Target, ask_everywhere, facts, gdb
from surroundings import EXAMPLES, PROGRAMS, RECORDER, bare_environment, clean_environment, running

PYTHON = "/usr/bin/python3.13"
ARRAY = 100_000_000


def recorded(root, level, *words):
    """The recorder comes in inside the root: none of the programs on the way there is to be recorded."""
    return [*root, "/usr/bin/env", f"LD_PRELOAD={RECORDER}", f"MEMTRACE_LEVEL={level}", PYTHON, *words]


@pytest.mark.parametrize("level", ["objects", "heap"])
def test_doors_agree(trixie, level, tmp_path):
    with running(recorded(trixie, level, PROGRAMS / "many_rows.py"), bare_environment()) as process:
        told = {"live": ask_everywhere(Target(pid=process.pid), trixie)}
        outside = DOORS["memtrace"](Target(pid=process.pid), ["peak --json"])[0]
        core = tmp_path / "core"
        saved = gdb([f"gcore {core}"], ["-p", process.pid], root=trixie)
        assert core.exists(), saved.stderr
    told["core"] = ask_everywhere(Target(core=str(core), executable=PYTHON), trixie)
    expected = told["live"]["memtrace"][0]
    assert facts(outside) == expected[0]
    assert sum("function_" in str(row["stack"][:1]) for row in expected[1]["rows"]) >= 1000
    for point, asked in told.items():
        for name in DOORS:
            assert asked[name][0][:2] == expected[:2], (point, name)
            assert asked[name][0][3:] == expected[3:], (point, name)


@pytest.mark.parametrize("debugger", ["gdb", "lldb"])
def test_four_arrays_at_the_peak(trixie, debugger):
    target = Target(program=(PYTHON, EXAMPLES / "holding.py", "--pause"))
    (answer,) = DOORS[debugger](
        target, ["peak --json"], environment=clean_environment(), root=trixie, before=["memtrace record", "run"]
    )
    big = [
        (row["stack"][0]["function"], block["size"])
        for row in answer.json()["rows"]
        for block in row["blocks_sample"]
        if block["size"] >= ARRAY
    ]
    steps = ["add_scalar", "duplicate_data", "raise_to_power", "subtract_scalar"]
    assert sorted(big) == [(step, ARRAY) for step in steps]
