"""Ways from named roots to objects: every expression is evaluated in the process that it was made for, and no way is longer
than the shortest that the process itself finds."""

import collections
import contextlib
import json
import subprocess

import pytest

from doors import DOORS, Target
from interpreters import EXAMINED
from surroundings import COMMAND, PROGRAMS, TIMEOUT, clean_environment, running, wait_until_asleep

SAMPLE = 1000  # objects of each heap
LEAST_EXPRESSED = 0.9  # of them have an expression
MANY = 10  # differences that a failing test shows

on_every_interpreter = pytest.mark.parametrize("interpreter", EXAMINED, indirect=True, ids=str)


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
    """{address: answer}, of those that are found: what only C code holds is not where nobody lists mimalloc's blocks, and a
    few have died since they were chosen."""
    answers = dict(zip(targets, ask(process, targets)))
    missing = [(targets[address], answer) for address, answer in answers.items() if "error" in answer]
    is_mimalloc = ("PYTHONMALLOC", "mimalloc") in interpreter.variables
    assert len(missing) <= (0.1 if is_mimalloc else 0.002) * len(targets), shown(missing)
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


# What the expression of each object of programs/path_shapes.py is.
EXPRESSIONS = {
    "event": "sys.modules['__main__'].CTX.sinks[0].events[2]",
    "hidden": "vars(sys.modules['__main__'].GUARDED)['hidden']",
    "no name": "vars(sys.modules['__main__'].GUARDED)['no name']",
    "said": "object.__getattribute__(sys.modules['__main__'].SILENT, '__dict__')['said']",
    "odd": "dict.__getitem__(sys.modules['__main__'].ODD, 'odd')",
    "key 0": "sys.modules['__main__'].KEYS[('a', 1, None)]",
    "key 1": r"sys.modules['__main__'].KEYS[b'bytes\x00']",
    "key 2": "sys.modules['__main__'].KEYS[-5]",
    "key 3": "sys.modules['__main__'].KEYS[2.5]",
    "key 4": "list(sys.modules['__main__'].KEYS.values())[4]",
    "key 5": r"""sys.modules['__main__'].KEYS["quote's \n \u202e \udc80 """ + '\U0001f40d"]',
    "key 6": "list(sys.modules['__main__'].KEYS.values())[6]",
    "twice": "sys.modules['__main__'].TWICE",
    "last": "sys.modules['__main__'].LAST",
    "class": "sys.modules['__main__'].Sink",
}
HIDDEN_KEY = "list(sys.modules['__main__'].KEYS.values())[2]"
NAMED = ["event", "hidden", "no name", "said", "odd", "local", "thread", "far"]


@contextlib.contextmanager
def shapes(interpreter):
    program = [*interpreter.inside, interpreter.path, PROGRAMS / "path_shapes.py"]
    environment = clean_environment(PYTHONDONTWRITEBYTECODE="1", **dict(interpreter.variables))
    with running(program, environment, ready=None) as process:
        told = json.loads(process.stdout.readline())
        wait_until_asleep(process)
        yield process, told


@on_every_interpreter
def test_shapes(interpreter):
    with shapes(interpreter) as (process, told):
        answers = dict(zip(told, ask(process, told.values())))
        # What is left in a buffer of an object that was there may look as if it held.
        assert {path["kind"] for path in answers["garbage"]["paths"]} <= {"unknown"} and answers["garbage"]["complete"]
        first = {name: answer["paths"][0] for name, answer in answers.items() if answer["paths"]}
        assert {name: first[name]["expression"] for name in EXPRESSIONS} == EXPRESSIONS
        asked = [[told[name], path["expression"]] for name, answer in answers.items() for path in answer["paths"]]
        assert set(evaluate(process, asked)) == {"right"}, asked
        assert ("closed" in first) == (interpreter.minor in (12, 13)) and ("closed" in told) == ("closed" in first)
        # The sources of variables.
        local, thread = first["local"], first["thread"]
        assert (local["kind"], local["variable"], local["function"], local["thread"]) == ("local", "local", "deep", 1)
        assert (thread["variable"], thread["thread"]) == ("of_thread", 2) and thread["function"].endswith("in_thread")
        # Two names of one module are two roots, and the other end of a way is one more.
        assert [path["root"] for path in answers["twice"]["paths"]] == ["module __main__"] * 2
        assert [path["chain"][0]["link"] for path in answers["last"]["paths"]] == ["['LAST']", "['FIRST']"]
        assert first["far"]["length"] >= 1001
        # The chain of the first: module, instance (whose attributes may be a dict), list, instance, list.
        links = [step["link"] for step in first["event"]["chain"] if step["link"] != ".__dict__"]
        assert [link.strip(".[]'") for link in links] == ["CTX", "sinks", "0", "events", "2"]
        assert first["event"]["chain"][0]["type"] == "Context" and first["event"]["chain"][-1]["type"] == "dict"
        (hidden,) = ask(process, [told["key 2"]], "--no-values")
        assert hidden["paths"][0]["expression"] == HIDDEN_KEY and "-5" not in json.dumps(hidden["paths"])
        assert evaluate(process, [[told["key 2"], HIDDEN_KEY]]) == ["right"]


def lines_of(text):
    return [line for line in text.splitlines() if not line.startswith("(stopped")]


@pytest.mark.parametrize("door", DOORS)
def test_text(python, door):
    with shapes(EXAMINED[0]) as (process, told):
        target = Target(pid=process.pid)
        event, twice, garbage, far = (f"{told[name]:#x}" for name in ("event", "twice", "garbage", "far"))
        answers = DOORS[door](target, [f"path {one}" for one in (event, twice, garbage, far)])
    way = ["       module __main__ -> ['CTX'] Context -> .sinks list -> [0] Sink -> .events",
           "        list -> [2] dict"]  # fmt: skip
    texts = [lines_of(answer.text) for answer in answers]
    assert texts[0][0] == f"dict of 1 at {event}, reachable from 1 named root"
    assert texts[0][1] == "  1  " + EXPRESSIONS["event"]
    assert " ".join(line.strip() for line in texts[0][2:4]) == " ".join(line.strip() for line in way)
    number = 1 if door == "memtrace" else 2
    assert texts[1][0] == f"list of 1 at {twice}, reachable from 2 named roots"
    assert texts[1][1] == f"{number:3}  sys.modules['__main__'].TWICE"
    assert texts[1][3] == f"{number + 1:3}  sys.modules['__main__'].ALSO"
    assert " ".join(texts[2]).startswith(f"list of 1 at {garbage}, reachable from no root: it waits for the")
    assert any(" more -> " in line for line in texts[3])
    for line in (line for text in texts for line in text if "sys.modules" not in line and "gc.get" not in line):
        assert len(line) <= 80, line


def test_how_many(python):
    with shapes(EXAMINED[0]) as (process, told):
        (none,) = ask(process, [told["class"]], "--limit 1")
        assert len(none["paths"]) == 1 and not none["complete"]
        (all_roots,) = ask(process, [told["class"]], "--all-roots")
        assert len(all_roots["paths"]) > 1 and all_roots["complete"]
        (cut,) = ask(process, [told["class"]], "--all-roots --limit 1")
        assert len(cut["paths"]) == 1 and cut["omitted"]["rows"] == len(all_roots["paths"]) - 1
        (wrong,) = ask(process, [0x10])
        assert wrong["error"]["code"] == "not-found"
