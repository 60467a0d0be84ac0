"""Refcount completeness: in a process that stands still, the references that memtrace finds are those that the counts say.

(a) a process of the standard library, on every interpreter; (b) the same with numpy, where there is one. Every run prints its
figures. What numpy leaves unexplained are references that it leaked: no pointer to those objects is anywhere in its memory.
"""

import json

import pytest

from interpreters import EVERYWHERE
from surroundings import COMMAND, bare_environment, run, running

IMPORTS = "import asyncio, sqlite3, decimal, xml.etree.ElementTree, concurrent.futures"
WAIT = "import sys; print('ready', flush=True); sys.stdin.readline()"
LEAST_EXACT, LEAST_GUESSED, MOST_OVER = 0.99, 0.999, 0.0001
LEAST_GUESSED_WITH_NUMPY = 0.995


def audit(interpreter, imports):
    environment = bare_environment(**dict(interpreter.variables))
    command = [*interpreter.inside, interpreter.path, "-c", f"{imports}\n{WAIT}"]
    with running(command, environment) as process:
        result = run([COMMAND, "--pid", process.pid, "audit", "--json"])
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def shares(answer):
    """Of all objects: fully explained exactly, with static data besides, with all guesses; and over-explained."""
    exact = answer["exact"]
    in_static = exact + answer["static_data"]
    return [part / answer["objects"] for part in (exact, in_static, in_static + answer["guessed"], answer["over"])]


def report(capsys, interpreter, what, answer):
    exact, in_static, guessed, over = shares(answer)
    with capsys.disabled():
        print(
            f"\n{interpreter} {what}: {answer['objects']:,} objects, {exact:.3%} exact, {in_static:.3%} with static data, "
            f"{guessed:.3%} with guesses, {over:.4%} over; the rest:",
            ", ".join(f"{row['unknown']} {row['type']}" for row in answer["rows"][:5] if row["unknown"]),
            end="",
        )


@pytest.mark.parametrize("interpreter", EVERYWHERE, ids=str)
def test_standard_library(interpreter, capsys):
    interpreter.require()
    answer = audit(interpreter, IMPORTS)
    report(capsys, interpreter, "a", answer)
    exact, _, guessed, over = shares(answer)
    assert answer["objects"] > 30_000
    assert exact >= LEAST_EXACT
    assert guessed >= LEAST_GUESSED
    assert over <= MOST_OVER


@pytest.mark.parametrize("interpreter", EVERYWHERE, ids=str)
def test_with_numpy(interpreter, capsys):
    interpreter.require()
    have = run([*interpreter.inside, interpreter.path, "-c", "import numpy"], bare_environment())
    if have.returncode != 0:
        pytest.skip(f"{interpreter} has no numpy")
    answer = audit(interpreter, IMPORTS + ", numpy")
    report(capsys, interpreter, "b", answer)
    _, in_static, guessed, over = shares(answer)
    assert answer["objects"] > 60_000
    assert in_static >= LEAST_EXACT
    assert guessed >= LEAST_GUESSED_WITH_NUMPY
    assert over <= MOST_OVER
