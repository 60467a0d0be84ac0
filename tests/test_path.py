"""Ways from named roots to objects: every expression is evaluated in the process that it was made for, and no way is longer
than the shortest that the process itself finds."""

import collections
import contextlib
import json
import subprocess

import pytest

from doors import DOORS, Target
from interpreters import EVERYWHERE
from surroundings import COMMAND, PROGRAMS, TIMEOUT, clean_environment, running, wait_until_asleep

SAMPLE = 2500  # objects of each heap
LEAST_EXPRESSED = 0.9  # of them have an expression
MANY = 10  # differences that a failing test shows

on_every_interpreter = pytest.mark.parametrize("interpreter", EVERYWHERE, indirect=True, ids=str)


@contextlib.contextmanager
def waiting(interpreter, *arguments):
    """A process of programs/ways.py, and what it wrote."""
    program = [*interpreter.inside, interpreter.path, PROGRAMS / "ways.py", *arguments]
    environment = clean_environment(PYTHONDONTWRITEBYTECODE="1", **dict(interpreter.variables))
    with running(program, environment, ready=None) as process:
        told = json.loads(process.stdout.readline())
        wait_until_asleep(process)
        yield process, told


def ask(process, addresses, options=""):
    """The answers to `path` of each, by one session."""
    result = subprocess.run(
        [str(COMMAND), "--pid", str(process.pid)],
        env=clean_environment(),
        input="".join(f"path --json {options} {address:#x}\n" for address in addresses),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        timeout=TIMEOUT,
    )
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(answers) == len(addresses), result.stderr[-1000:]
    return answers


def evaluate(process, asked):
    process.stdin.write(json.dumps(asked) + "\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def shown(differences):
    return f"{len(differences)}:\n" + "\n".join(map(str, differences[:MANY]))


def answers_of(interpreter, process, targets):
    """{address: answer}, of those that are found: what only C code holds is not where nobody lists mimalloc's blocks."""
    answers = dict(zip(targets, ask(process, targets)))
    missing = [(targets[address], answer) for address, answer in answers.items() if "error" in answer]
    is_mimalloc = ("PYTHONMALLOC", "mimalloc") in interpreter.variables
    assert len(missing) <= (0.1 * len(targets) if is_mimalloc else 0), shown(missing)
    return {address: answer for address, answer in answers.items() if "error" not in answer}


@on_every_interpreter
def test_expressions_of_every_kind_of_object(interpreter):
    with waiting(interpreter, "zoo", 1, SAMPLE) as (process, told):
        targets = {address: type_name for address, type_name, *_ in told["targets"]}
        answers = answers_of(interpreter, process, targets)
        asked = [[address, path["expression"]]
                 for address, answer in answers.items() for path in answer["paths"] if "expression" in path]
        results = evaluate(process, asked)
    wrong = [(targets[address], expression, result)
             for (address, expression), result in zip(asked, results) if result != "right"]
    assert not wrong, shown(wrong)
    expressed = {address for address, _ in asked}
    unexpressed = collections.Counter(targets[address] for address in answers if address not in expressed)
    assert len(expressed) >= LEAST_EXPRESSED * len(answers), unexpressed


@on_every_interpreter
def test_ways_are_the_shortest(interpreter):
    with waiting(interpreter, "random", 2, SAMPLE) as (process, told):
        targets = {address: type_name for address, type_name, *_ in told["targets"]}
        answers = answers_of(interpreter, process, targets)
        asked = [[address, answer["paths"][0].get("expression", "None")] for address, answer in answers.items()]
        results = evaluate(process, asked)
    different = []
    for address, type_name, least, most in told["targets"]:
        path = answers[address]["paths"][0]
        assert path["kind"] in ("module", "local") and path["length"] == len(path["chain"])
        assert path["chain"][-1]["address"] == hex(address)
        if not least <= path["length"] <= most:
            different.append((type_name, least, most, path["length"], path.get("expression")))
    assert not different, shown(different)
    wrong = [(targets[address], expression, result)
             for (address, expression), result in zip(asked, results) if result != "right"]
    assert not wrong, shown(wrong)
    assert max(least for *_, least, _ in told["targets"]) > 10, "no way is long"
