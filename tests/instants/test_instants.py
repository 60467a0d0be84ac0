"""A recorded program is stopped at any instruction, and what memtrace reads then is compared with the truth (instants.c says
how). INSTANTS_STOPS chooses how many random stops there are; MEMTRACE_STRESS=1 makes them 100,000 and steps through everything."""

import json
import os

import pytest

import surroundings
from surroundings import BUILD, RECORDER, ROOT

HERE = ROOT / "tests/instants"
STRESS = os.environ.get("MEMTRACE_STRESS") == "1"
STOPS = int(os.environ.get("INSTANTS_STOPS", 100_000 if STRESS else 20_000))
PYTHON_STOPS = max(STOPS // 40, 1)
STRIDE = 1 if STRESS else 16
SECONDS = 3600 if STRESS else 300  # of one test, whatever the machine is busy with


@pytest.fixture(scope="session")
def instants():
    folder = BUILD / "instants"
    surroundings.make("instants", SECONDS)
    return folder


def drive(folder, *arguments):
    """The driver's lines of numbers: the last sums up. It must have found nothing wrong."""
    result = surroundings.run([folder / "instants", *arguments], timeout=SECONDS)
    print(result.stdout)
    assert result.returncode == 0, result.stderr[-4000:]
    *notes, summary = map(json.loads, result.stdout.splitlines())
    return summary, {note["grown"] for note in notes}


def test_random_stops_of_four_threads(instants):
    summary, _ = drive(instants, "random", RECORDER, instants / "below.so", instants / "program", STOPS, 1)
    assert summary["stops"] == STOPS
    assert summary["inside"] >= 0.3 * STOPS
    assert summary["in_flight"] >= STOPS
    assert summary["locked"] >= 0.1 * STOPS


def test_every_instruction_of_chosen_operations(instants):
    summary, grown = drive(instants, "steps", RECORDER, instants / "below.so", instants / "program")
    assert summary["instructions"] > 1500
    wanted = {"table pages", "shadow leaves", "shadow leaves given back", "shadow tables", "pool directories", "mapped"}
    assert grown >= wanted


def test_random_stops_of_python(instants, python):
    script = HERE / "python_program.py"
    summary, _ = drive(instants, "python", RECORDER, python, script, PYTHON_STOPS, 1)
    assert summary["stops"] == PYTHON_STOPS
    assert summary["inside"] >= 0.1 * PYTHON_STOPS


def test_every_instruction_of_new_stacks(instants, python):
    """Python lines that the recorder has not seen: a new stack and a new site each, and the growth of their index."""
    script = HERE / "python_program.py"
    summary, grown = drive(instants, "python-steps", RECORDER, python, script, STRIDE)
    assert summary["instructions"] > 500
    assert "stack index" in grown
