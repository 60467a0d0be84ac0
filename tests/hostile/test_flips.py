"""Damaged cores of CPython, asked under sanitizers: flips.c says what is damaged and how, and what counts as an answer.
MEMTRACE_STRESS=1 makes the rounds 2,000; FLIPS_ROUNDS says otherwise."""

import os
import re
import shutil

import pytest

import surroundings
from surroundings import BUILD, gcore, running

STRESS = os.environ.get("MEMTRACE_STRESS") == "1"
ROUNDS = int(os.environ.get("FLIPS_ROUNDS", 2_000 if STRESS else 400))
PARTS = 4
SECONDS = 3600 if STRESS else 600
PROGRAM = """
import sys
class Node: pass
kept = [Node() for i in range(50)] + [{str(i): (i, [i])} for i in range(100)]
print("ready", flush=True)
sys.stdin.readline()
"""


@pytest.fixture(scope="module")
def flips():
    surroundings.make("hostile-asan", SECONDS)
    return BUILD / "asan/hostile/flips"


@pytest.fixture(scope="module")
def core(tmp_path_factory):
    with running(["/usr/bin/python3", "-I", "-S", "-c", PROGRAM]) as process:
        return gcore(process.pid, tmp_path_factory.mktemp("flips") / "core")


@pytest.mark.parametrize("seed", range(1, PARTS + 1))
def test_every_damage_is_answered_or_refused(flips, core, tmp_path, seed):
    copy = shutil.copy(core, tmp_path / "core")
    result = surroundings.run([flips, copy, seed, max(1, ROUNDS // PARTS)], timeout=SECONDS)
    print(result.stdout)
    assert result.returncode == 0, result.stderr[-4000:]
    answers, refusals = map(int, re.search(r"(\d+) answers, (\d+) refusals", result.stdout).groups())
    assert answers > refusals  # a word that is wrong somewhere must not cost the whole answer
