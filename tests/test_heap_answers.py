"""Who holds what, in programs whose holders are known: from every door, of a live process and of its cores, recorded or not.

The first is examples/holding.py at its peak: four blocks of data, each held by one variable, where two should do."""

import contextlib
import json
import re

import pytest

from doors import DOORS, Target, gdb_door, lldb_door
from interpreters import EVERYWHERE
from surroundings import (
    EXAMPLES,
    PROGRAMS,
    allow_cores,
    clean_environment,
    gcore,
    kernel_core,
    recorded_environment,
    require_kernel_cores,
    run,
    running,
    wait_until_asleep,
)

HOLDING = EXAMPLES / "holding.py"
SIZE = 1_000_000


def line_of(text):
    return next(number for number, line in enumerate(HOLDING.read_text().splitlines(), 1) if text in line)


# (function, variable) of the one holder of each block -> the line where that function is
HOLDERS = {
    ("process_data", "data"): line_of("return add_scalar(duplicate_data("),
    ("process_data", "data_pow"): line_of("return add_scalar(duplicate_data("),
    ("add_scalar", "data"): line_of("    pause_for_debugger()"),
    ("add_scalar", "result"): line_of("    pause_for_debugger()"),
}


def has_numpy(interpreter, inside=()):
    return run([*inside, interpreter, "-c", "import numpy"]).returncode == 0


@contextlib.contextmanager
def at_the_peak(interpreter, *options, recorded=False, inside=(), **more):
    environment = recorded_environment() if recorded else clean_environment(**dict(more.pop("variables", ())))
    program = [*inside, interpreter, PROGRAMS / "at_the_pause.py", HOLDING, f"{SIZE:_}", "--pause", *options]
    with running(program, environment, **more) as process:
        yield process


def data_of(door, target, type_name):
    """The addresses of the blocks of data: an answer's rows are the biggest first."""
    (answer,) = door(target, [f"instances --json --limit 6 {type_name}"])
    rows = answer.json()["rows"]
    return [row["address"] for row in rows if SIZE <= row["own_bytes"] < SIZE + 1000]


# Up to 3.10 a call leaves its arguments on the caller's stack, whose depth memory does not tell while the call lasts.
ON_THE_STACK = ("add_scalar", "data")


def check_holders(door, target, type_name, recorded, minor=11):
    addresses = data_of(door, target, type_name)
    assert len(addresses) == 4
    found = {}
    for answer in door(target, [f"who-holds --json {address}" for address in addresses]):
        told = answer.json()
        assert told["warnings"] == []
        row, *guesses = told["rows"]
        assert told["refcount"] == told["references_explained"] == 1 + len(guesses)
        assert told["references_guessed"] == len(guesses)
        assert [guess["kind"] for guess in guesses] == ["guess"] * len(guesses)
        assert bool(guesses) == (minor <= 10 and (row["function"], row["variable"]) == ON_THE_STACK)
        assert row["type"] == "frame" and row["link"] == "local " + row["variable"]
        assert row["kind"] in ("exact", "root") and row["count"] == 1
        assert row["thread"] == 1 and row["file"] == str(HOLDING)
        found[row["function"], row["variable"]] = row["line"]
        assert ("stack" in told) == recorded
        if recorded:
            births = {frame["function"] for frame in told["stack"]}
            assert births & {"subtract_scalar", "raise_to_power", "duplicate_data", "add_scalar"}
    assert found == HOLDERS


def check_text(door, target, type_name, minor=11):
    texts = [answer.text for answer in door(target, [f"who-holds {one}" for one in data_of(door, target, type_name)])]
    for function, variable in HOLDERS:
        line = HOLDERS[function, variable]
        pattern = rf"^ +\d+  local `{variable}` of {function}\(\)  holding\.py:{line}, thread 1, frame \d+$"
        (text,) = [text for text in texts if re.search(pattern, text, re.M)]
        lines = text.splitlines()
        assert lines[0].startswith(f"{type_name} at 0x") and lines[0].endswith(" bytes")
        if minor <= 10 and (function, variable) == ON_THE_STACK:
            assert lines[1] == "refcount 2 = 1 found + 1 guessed"
        else:
            assert lines[1] == "refcount 1 = 1 found"
            assert f"it lives until {function}() returns or `{variable}` is bound anew" in lines
        assert all(len(line) <= 80 for line in lines)


@pytest.fixture(scope="module", params=[False, True], ids=["unrecorded", "recorded"])
def peak(request, python, tmp_path_factory):
    """(type of the data, {what: target}, recorded) of the system's interpreter."""
    numpy = has_numpy(python)
    cores = tmp_path_factory.mktemp("cores")
    with at_the_peak(python, recorded=request.param) as process:
        core = gcore(process.pid, cores / "gcore")
        targets = {"live": Target(pid=process.pid), "gcore": Target(core=str(core), executable=python)}
        yield "numpy.ndarray" if numpy else "bytearray", targets, request.param


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("what", ["live", "gcore"])
def test_the_variables_that_hold_on(peak, what, door):
    type_name, targets, recorded = peak
    check_holders(DOORS[door], targets[what], type_name, recorded)
    check_text(DOORS[door], targets[what], type_name)


@pytest.mark.parametrize("door", DOORS)
def test_in_a_core_of_the_kernel(python, door, tmp_path):
    require_kernel_cores()
    with at_the_peak(python, "--bytearray", cwd=tmp_path, preexec_fn=allow_cores) as process:
        core = kernel_core(process, tmp_path)
        check_holders(DOORS[door], Target(core=str(core), executable=python), "bytearray", False)


@pytest.mark.parametrize("interpreter", EVERYWHERE, indirect=True, ids=str)
def test_in_every_interpreter(interpreter):
    numpy = has_numpy(interpreter.path, interpreter.inside)
    with at_the_peak(interpreter.path, inside=interpreter.inside, variables=interpreter.variables) as process:
        target, type_name = Target(pid=process.pid), "numpy.ndarray" if numpy else "bytearray"
        check_holders(DOORS["memtrace"], target, type_name, False, interpreter.minor)
        check_text(DOORS["memtrace"], target, type_name, interpreter.minor)


@pytest.mark.parametrize("door", [gdb_door, lldb_door])
def test_rows_of_the_peak_lead_to_objects(python, door):
    """`who-holds 3` after `peak`: the row's largest block is the buffer of an array, or of a bytearray."""
    target = Target(program=(python, HOLDING, "--pause"))
    commands = ["peak --limit 4", *(f"who-holds {row}" for row in range(1, 5))]
    _, *answers = door(target, commands, before=["memtrace record", "run"])
    found = set()
    for row, answer in enumerate(answers, 1):
        text = re.sub(r"\n +", " ", answer.text)
        assert re.search(rf" live blocks? of row {row} is its buffer, 100,000,00\d bytes", text), text
        found.add(re.search(r"local `(\w+)` of (\w+)\(\)", text).groups())
    assert found == {(variable, function) for function, variable in HOLDERS}


def holders_of(process, *words):
    """(name, count) of each row of who-holds."""
    (answer,) = DOORS["memtrace"](Target(pid=process.pid), [" ".join(["who-holds --json", *words])])
    return {(row["name"], row["count"]) for row in answer.json()["rows"]}


@pytest.mark.parametrize("interpreter", EVERYWHERE, indirect=True, ids=str)
def test_names_of_holders(interpreter):
    """tests/programs/holders.py holds one instance of Held in each way that it knows, and says how that is called."""
    program = [*interpreter.inside, interpreter.path, PROGRAMS / "holders.py"]
    with running(program, clean_environment(**dict(interpreter.variables)), ready=None) as process:
        expected = json.loads(process.stdout.readline())
        wait_until_asleep(process)
        found = holders_of(process, "--type", "Held")
        cached = holders_of(process, "--type", "Cached")
        many = holders_of(process, "--type", "Many")
    assert found == {(name, 1) for name in expected}
    assert cached == {("args[0] of a key in the cache of Cached.unbounded", 1),
                      ("args[0] of a key in the cache of Cached.bounded", 1)}  # fmt: skip
    assert many == {("__main__.BUS.subscribers[*]", 50), ("local `few[*]` of work()", 2)}


def test_direct_stays_at_one_step(python):
    """The holder itself is named, not the variable that it can be reached by."""
    program = "class Held: pass\nheld = [Held()]\nprint('ready', flush=True)\ninput()"
    with running([python, "-c", program]) as process:
        target = Target(pid=process.pid)
        for options, name in (("", "__main__.held[0]"), ("--direct ", "[0] of list at ")):
            (answer,) = DOORS["memtrace"](target, [f"who-holds {options}--json --type Held"])
            (row,) = answer.json()["rows"]
            assert row["name"].startswith(name.replace("[0]", "[*]").removesuffix(" at ")), row
            (answer,) = DOORS["memtrace"](target, ["instances --json Held"])
            address = answer.json()["rows"][0]["address"]
            (answer,) = DOORS["memtrace"](target, [f"who-holds {options}--json {address}"])
            (row,) = answer.json()["rows"]
            assert row["name"].startswith(name), row
