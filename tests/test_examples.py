"""The two teaching programs give the numbers they are known for: at a stop inside a debugger, and at their end."""

import json

import pytest

from doors import Target, gdb_door, lldb_door
from interpreters import INTERPRETERS
from surroundings import COMMAND, EXAMPLES, run

DEBUGGERS = {"gdb": gdb_door, "lldb": lldb_door}
ARRAY = 100_000_000


def at_the_pause(door, python, program, options, commands, level="objects"):
    """What `commands` answer where the program has stopped itself."""
    target = Target(program=(python, EXAMPLES / program, "--pause", *options))
    answers = door(target, commands, before=[f"memtrace record --level {level}", "run"])
    assert not answers[-1].failed, answers[-1].text
    return [answer.json() for answer in answers]


def line_of(program, text):
    lines = (EXAMPLES / program).read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def arrays(answer):
    """The big blocks of an answer: (the step's function, its line, line of process_data()) -> bytes."""
    found = {}
    for row in answer["rows"]:
        if row["bytes"] >= ARRAY:
            # Besides the data, the level of objects has the array object itself here.
            big = [block["size"] for block in row["blocks_sample"] if block["size"] >= ARRAY]
            inner, outer = row["stack"][0], row["stack"][1]
            assert outer["function"] == "process_data"
            found[inner["function"], inner["line"], outer["line"]] = big
    return found


@pytest.fixture(scope="module")
def numpy(python):
    if run([python, "-c", "import numpy"]).returncode != 0:
        pytest.skip("numpy is not installed")


@pytest.mark.parametrize("debugger", DEBUGGERS)
@pytest.mark.parametrize("level", ["objects", "heap"])
def test_four_arrays_at_the_peak(python, numpy, debugger, level):
    peak, live = at_the_pause(DEBUGGERS[debugger], python, "holding.py", [], ["peak --json", "live --json"], level)

    def line(text):
        return line_of("holding.py", text)

    expected = {
        ("subtract_scalar", line("return data - scalar"), line("data = subtract_scalar(")): [ARRAY],
        ("raise_to_power", line("return data**power"), line("data_pow = raise_to_power(")): [ARRAY],
        ("duplicate_data", line("return data * 2"), line("return add_scalar(")): [ARRAY],
        ("add_scalar", line("result = data + scalar"), line("return add_scalar(")): [ARRAY],
    }
    assert arrays(peak) == expected
    assert arrays(live) == expected
    if level == "heap":
        assert [(row["bytes"], row["blocks"]) for row in live["rows"][:4]] == 4 * [(ARRAY, 1)]
    rest = peak["peak_bytes"] - 4 * ARRAY
    assert 0 < rest < 40_000_000  # the interpreter and numpy


@pytest.mark.parametrize("debugger", DEBUGGERS)
def test_two_arrays_when_mended(python, numpy, debugger):
    (peak,) = at_the_pause(DEBUGGERS[debugger], python, "holding_mended.py", [], ["peak --json"])
    assert list(arrays(peak).values()) == [[ARRAY], [ARRAY]]


@pytest.mark.parametrize("debugger", DEBUGGERS)
@pytest.mark.parametrize("program, expected", [("holding.py", 400_000_004), ("holding_mended.py", 200_000_002)])
def test_bytearrays_above_the_base_line(python, debugger, program, expected):
    """To the byte: what the program holds at its peak, less what it holds there when its data are empty."""

    def ask(*options):
        return at_the_pause(
            DEBUGGERS[debugger], python, program, ["--bytearray", *options], ["peak --json", "live --json"], "heap"
        )

    # An argument of the same length, as the interpreter itself keeps copies of its arguments.
    peak, live = ask("--do-work")
    _, base = ask("--no-work")
    assert live["live_bytes"] - base["live_bytes"] == expected
    assert peak["peak_bytes"] == live["live_bytes"]


def peak_at_the_end(python, tmp_path, program, *arguments, level="heap"):
    report = tmp_path / "report.json"
    options = ["--level", level, "--report", "peak", "--json", "--out", report]
    result = run([COMMAND, "run", *options, "--", python, EXAMPLES / program, *arguments])
    assert result.returncode == 0, result.stderr
    return result.stdout, json.loads(report.read_text())


@pytest.mark.parametrize("name", sorted(INTERPRETERS))
def test_interpreters(name, tmp_path):
    """Each version's stacks lead to the line that allocates."""
    python = INTERPRETERS[name] or pytest.skip(f"{name}: no such interpreter on this machine")
    _, peak = peak_at_the_end(python, tmp_path, "lru_cache.py", "10", level="objects")
    line = line_of("lru_cache.py", "return n * self.factorial_plus(n - 1) + self.inc")
    tops = [row["stack"][0] for row in peak["rows"][:2]]
    assert [top["function"].split(".")[-1] for top in tops] == ["factorial_plus", "<genexpr>"]
    assert tops[0] == {"function": tops[0]["function"], "file": str(EXAMPLES / "lru_cache.py"), "line": line}


def test_cache_of_each_instance(python, tmp_path):
    output, peak = peak_at_the_end(python, tmp_path, "lru_cache_mended.py")
    assert output == "sum of the last digits: 3822250\n"
    # How much garbage waits for the collector depends on when it runs: a few MiB.
    assert peak["peak_bytes"] < 100_000_000
