"""Seeded programs that fork, exec, start threads and handle signals: recorded, and stopped at random moments, they do what they
do alone; killed at a random moment, they leave nothing hanging."""

import json
import os
import random
import signal
import subprocess
import time

import pytest
import support
from interpreters import INTERPRETERS
from surroundings import COMMAND
from torture_support import HERE, STRESS

import surroundings

SEEDS = range(50 if STRESS else 10)  # of each of the two programs
HANGING = 60  # seconds; alone they end within one
FOLLOW = 3  # every third seed records the children too


@pytest.fixture(params=["C", "python", "python 3.13"])
def program(request, built_program):
    if request.param == "C":
        return [str(built_program("torture"))]
    path = INTERPRETERS["system" if request.param == "python" else "3.13.0"] or pytest.skip(f"{request.param} is not installed")
    return [path, "-W", "ignore", str(HERE / "torture.py")]  # newer ones warn of fork beside threads


def launch(command, environment):
    """In a process group of its own, which is killed with everything in it when it is over."""
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env=environment, text=True, start_new_session=True, **pipes)


def end_group(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def ended(process, command):
    try:
        output, errors = process.communicate(timeout=HANGING)
    except subprocess.TimeoutExpired:
        state = surroundings.run([COMMAND, "--pid", process.pid, "status"], timeout=10)
        pytest.fail(f"{command} hangs; {state.stdout}{state.stderr}")
    finally:
        end_group(process)
    return process.returncode, output, errors


def stop_and_ask(pid, what):
    """One stop of a live process. It may have ended, or be about to become another program."""
    result = surroundings.run([COMMAND, "--pid", pid, what, "--json"], timeout=HANGING)
    answer = json.loads(result.stdout)
    if result.returncode == 0:
        total = answer["live_bytes"] if what == "live" else answer["peak_bytes"]
        assert total == sum(row["bytes"] for row in answer["rows"])
    return result.returncode == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_stopped_at_random(program, seed):
    command = [*program, str(seed)]
    bare = ended(launch(command, support.plain_environment()), command)
    assert bare[0] >= 0 and bare[2] == "", bare
    moments = random.Random(seed)
    more = {"MEMTRACE_FOLLOW": "1"} if seed % FOLLOW == 0 else {}
    process = launch(command, support.recorded_environment(moments.choice(list(support.LEVELS)), **more))
    answered = 0
    deadline = time.monotonic() + HANGING
    try:
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(moments.random() / 20)
            answered += stop_and_ask(process.pid, moments.choice(["live", "peak"]))
    except BaseException:
        end_group(process)
        raise
    recorded = ended(process, command)
    assert recorded == bare
    assert answered > 0


@pytest.mark.parametrize("seed", SEEDS)
def test_killed_at_random(program, seed):
    """Also in the middle of a stop: the one who asked gets an answer or an error, and does not hang."""
    command = [*program, str(seed)]
    moments = random.Random(1000 + seed)
    process = launch(command, support.recorded_environment(moments.choice(list(support.LEVELS))))
    time.sleep(0.02 + moments.random() / 2)
    question = [COMMAND, "--pid", str(process.pid), "live", "--json"]
    asking = subprocess.Popen(question, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(moments.random() / 100)
    end_group(process)
    answer, errors = asking.communicate(timeout=HANGING)
    assert asking.returncode in (0, 1), errors
    assert json.loads(answer)["schema"] == 1
    process.communicate(timeout=HANGING)
    assert process.returncode == -signal.SIGKILL or process.returncode >= 0
