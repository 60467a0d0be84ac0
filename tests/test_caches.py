"""What caches hold, and what only one thing keeps alive: programs know it by letting go of it.

How much a cache keeps alive is told by the recorder to the byte: what is alive before the program empties the cache and
after it. A few blocks differ: digits that a long int was given and did not need, buffers of the program's own."""

import contextlib
import json
import re

import pytest

from doors import DOORS, Target, command_line_door
from interpreters import EXAMINED, MINORS, THOROUGH
from surroundings import (
    EXAMPLES,
    PROGRAMS,
    RECORDER,
    allow_cores,
    clean_environment,
    gcore,
    kernel_core,
    require_kernel_cores,
    running,
    wait_until_asleep,
)

SIZE = 200
INSTANCES = 30
CLEARED = ("price", "first", "square", "shares", "nests", "bounded", "text", "registry", "pages")


def caches(target, door=command_line_door):
    (answer,) = door(target, ["caches --json"])
    return answer.json()


def row_of(rows, name):
    """The row of `Service.price`, `7 caches of Bound.double`, `__main__.registry (dict)`, `Report.text (cached property)`."""
    (row,) = [row for row in rows if re.search(rf"\.{name}(?: \(|$)|^{name}$", row["name"])]
    return row


@contextlib.contextmanager
def caching(python, *options, recorded=False, inside=(), variables=()):
    """(process, counters of its caches)"""
    # Only the first program of an environment is recorded: not the one that leads into a root.
    record = ["/usr/bin/env", f"LD_PRELOAD={RECORDER}"] if recorded else []
    program = [*inside, *record, python, PROGRAMS / "caching.py", *options, SIZE]
    with running(program, clean_environment(**dict(variables)), ready=None, bufsize=1) as process:
        counters = json.loads(process.stdout.readline())
        assert process.stdout.readline() == "ready\n"
        wait_until_asleep(process)
        yield process, counters


def live(target):
    """(bytes, blocks)"""
    (answer,) = command_line_door(target, ["live --json"])
    return answer.json()["live_bytes"], answer.json()["live_blocks"]


def clear(process, name):
    process.stdin.write(name + "\n")
    assert process.stdout.readline() == "cleared\n"
    wait_until_asleep(process)


def check_counters(rows, counters):
    for name, expected in counters.items():
        row = row_of(rows, name)
        assert (row["entries"], row["hits"], row["misses"]) == (
            expected["entries"],
            expected["hits"],
            expected["misses"],
        )
        assert row["maxsize"] == (-1 if expected["maxsize"] is None else expected["maxsize"])
        assert row["typed"] is False and row["caches"] == 1
        assert row["function"].split(".")[-1] == name and row["file"].endswith("/caching.py") and row["line"] > 0


def check_instances(rows):
    price, first = row_of(rows, "price"), row_of(rows, "first")
    assert price["method"] and first["method"] and not row_of(rows, "square")["method"]
    assert price["kept_alive"] == [{"type": "Service", "count": INSTANCES * 2 // 3}]
    assert price["kept_alive_jointly"] == []
    assert first["kept_alive"] == [] and first["kept_alive_jointly"] == [{"type": "Twice", "count": INSTANCES}]
    bound = row_of(rows, "double")
    assert bound["caches"] == SIZE + 7 and not bound["method"]
    assert bound["instances"] == [{"type": "Bound", "count": SIZE}]
    waiting = bound["waiting"]
    assert waiting["caches"] == waiting["entries"] == 7
    assert waiting["instances"] == [{"type": "Bound", "count": 7}]
    assert row_of(rows, "text")["entries"] == SIZE and row_of(rows, "registry")["entries"] == 10_000


# What these keep depends on others that are emptied before.
SHARING = ("shares", "nests")


def check_bytes(process, target):
    """Each cache in turn."""
    clear(process, "")
    rows, before = caches(target)["rows"], live(target)
    for name in CLEARED:
        row = row_of(caches(target)["rows"] if name in SHARING else rows, name)
        clear(process, name)
        after = live(target)
        freed, blocks = before[0] - after[0], before[1] - after[1]
        assert abs(row["bytes_held"] - freed) <= 0.02 * freed + 64, (name, row["bytes_held"], freed)
        # An object is one block or more.
        assert row["objects_held"] <= blocks + 2, (name, row["objects_held"], blocks)
        before = after


@pytest.mark.parametrize("interpreter", EXAMINED, indirect=True, ids=str)
def test_what_each_keeps_alive(interpreter):
    where = {"inside": interpreter.inside, "variables": interpreter.variables}
    with caching(interpreter.path, recorded=True, **where) as (process, counters):
        target = Target(pid=process.pid)
        answer = caches(target)
        check_counters(answer["rows"], counters)
        check_instances(answer["rows"])
        check_bytes(process, target)


def test_caches_written_in_python(python):
    with caching(python, "--python", recorded=True) as (process, counters):
        target = Target(pid=process.pid)
        rows = caches(target)["rows"]
        own = [row for row in rows if (row["file"] or "").endswith("/caching.py")]
        assert {row["kind"] for row in own} == {"python_lru_cache", "cached_property"}
        check_counters(rows, counters)
        check_instances(rows)
        check_bytes(process, target)


def test_parts_and_what_is_shared(python):
    with caching(python) as (process, _):
        target = Target(pid=process.pid)
        before = caches(target)
        # Every value of `shares` is one of `square` as well: neither alone keeps it.
        clear(process, "square")
        shares = row_of(caches(target)["rows"], "shares")["bytes_held"]
        assert shares > row_of(before["rows"], "shares")["bytes_held"] + SIZE // 2 * 50
        # The caches that values of `nests` have are a part of it: they count once in the sum.
        rows = before["rows"]
        assert before["bytes_held"] < sum(row["bytes_held"] for row in rows)
        nested = row_of(rows, "double")["bytes_held"]
        assert 0 < nested < row_of(rows, "nests")["bytes_held"]


# --- the example ----------------------------------------------------------------------------------------------------

SMALLER = 10
COUNTS = (500 // SMALLER, 1000 // SMALLER)
EXAMPLE = {
    "entries": sum(count * count for count in COUNTS),
    "hits": sum(count * count - 2 * count for count in COUNTS),
    "misses": sum(count * count for count in COUNTS),
    "maxsize": -1,
    "method": True,
    "kept_alive": [{"type": "Algorithms", "count": sum(COUNTS)}],
    "function": "Algorithms.factorial_plus",
    "file": str(EXAMPLES / "lru_cache.py"),
}


@contextlib.contextmanager
def example(name, python, inside=(), variables=(), **options):
    """The example at its --pause, where it waits for input instead."""
    environment = clean_environment(PYTHONPATH=str(EXAMPLES), **dict(variables))
    program = [*inside, python, PROGRAMS / "at_the_pause.py", EXAMPLES / name, "1", SMALLER, "--pause"]
    with running(program, environment, **options) as process:
        yield process


def check_example(target, door=command_line_door):
    answer = caches(target, door)
    row = answer["rows"][0]
    assert {key: row[key] for key in EXAMPLE} == EXAMPLE
    assert answer["bytes_held"] >= row["bytes_held"] > 100 * EXAMPLE["entries"]
    return row


@pytest.mark.parametrize("interpreter", THOROUGH + MINORS, indirect=True, ids=str)
def test_the_example(interpreter):
    where = {"inside": interpreter.inside, "variables": interpreter.variables}
    with example("lru_cache.py", interpreter.path, **where) as process:
        check_example(Target(pid=process.pid))
    with example("lru_cache_mended.py", interpreter.path, **where) as process:
        row = next(row for row in caches(Target(pid=process.pid))["rows"] if row["file"].endswith("mended.py"))
    # Each instance has a cache of its own; the dead ones wait.
    assert row["function"] == "Algorithms.factorial_plus" and not row["method"]
    waiting = row["waiting"]
    assert waiting["caches"] == row["caches"] > 1 and waiting["entries"] == row["entries"]
    assert waiting["instances"] == [{"type": "Algorithms", "count": waiting["caches"]}]
    assert waiting["bytes"] > 100 * waiting["entries"] and row["bytes_held"] == 0


@pytest.fixture(scope="module")
def example_targets(python, tmp_path_factory):
    cores = tmp_path_factory.mktemp("cores")
    with example("lru_cache.py", python) as process:
        core = gcore(process.pid, cores / "gcore")
        yield {"live": Target(pid=process.pid), "gcore": Target(core=str(core), executable=python)}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("what", ["live", "gcore"])
def test_from_every_door(example_targets, what, door):
    check_example(example_targets[what], DOORS[door])
    (answer,) = DOORS[door](example_targets[what], ["caches"])
    lines = answer.text.splitlines()
    assert re.fullmatch(r"1 cache keeps \d+\.\d MB alive that nothing else does", lines[0])
    assert lines[1].split() == ["#", "entries", "hits", "misses", "maxsize", "keeps", "alive", "cache", "of"]
    assert re.fullmatch(r" +1 +12,500 +12,200 +12,500 +none +[\d,]+", lines[2])
    assert re.fullmatch(r" {5}Algorithms\.factorial_plus  lru_cache\.py:\d+", lines[3])
    text = " ".join(line.strip() for line in lines)
    assert "caches a method: every key holds `self`; 150 Algorithms live only through it" in text
    assert all(len(line) <= 80 for line in lines)


@pytest.mark.parametrize("door", DOORS)
def test_in_a_core_of_the_kernel(python, door, tmp_path):
    require_kernel_cores()
    with example("lru_cache.py", python, cwd=tmp_path, preexec_fn=allow_cores) as process:
        check_example(Target(core=str(kernel_core(process, tmp_path)), executable=python), DOORS[door])


def test_where_unnamed_caches_were_made(python):
    """With a recording the row of many caches tells that."""
    with caching(python, recorded=True) as (process, _):
        (answer,) = command_line_door(Target(pid=process.pid), ["caches"], width=200)
    (remark,) = [line for line in answer.text.splitlines() if "bound methods" in line]
    assert re.match(r" +made in Bound\.__init__ caching\.py:\d+; around bound methods, which hold their", remark)


def test_no_caches(python):
    code = "print('ready', flush=True); input()"
    with running([python, "-S", "-c", code]) as process:
        target = Target(pid=process.pid)
        assert caches(target)["rows"] == []
        assert command_line_door(target, ["caches"])[0].text.startswith("no caches\n")


# --- holds --deep, --exclusive --------------------------------------------------------------------------------------


@pytest.mark.parametrize("interpreter", THOROUGH + MINORS, indirect=True, ids=str)
def test_deep_and_exclusive(interpreter):
    program = [*interpreter.inside, interpreter.path, PROGRAMS / "owning.py"]
    with running(program, clean_environment(), ready=None, bufsize=1) as process:
        structures = json.loads(process.stdout.readline())
        assert process.stdout.readline() == "ready\n"
        target = Target(pid=process.pid)
        for number, structure in enumerate(structures):
            wait_until_asleep(process)
            (answer,) = command_line_door(target, [f"holds --deep --exclusive --json {structure['address']:#x}"])
            told = answer.json()
            assert told["alive"]
            assert told["deep"] == {"objects": structure["objects"], "bytes": structure["bytes"]}, number
            if number < len(structures) - 1:
                process.stdin.write(f"{number}\n")
                assert told["exclusive"] == json.loads(process.stdout.readline()), number


def test_text_of_deep_and_exclusive(python):
    with running([python, PROGRAMS / "owning.py"], ready=None) as process:
        address = json.loads(process.stdout.readline())[-1]["address"]
        assert process.stdout.readline() == "ready\n"
        wait_until_asleep(process)
        (answer,) = command_line_door(Target(pid=process.pid), [f"holds --deep --exclusive {address:#x}"])
    assert re.search(
        r"^with all that it leads to, but for types and modules: [\d,]+ objects, [\d,]+ bytes$", answer.text, re.M
    )
    assert re.search(r"^with all that only it keeps alive: [\d,]+ objects, [\d,]+ bytes$", answer.text, re.M)
