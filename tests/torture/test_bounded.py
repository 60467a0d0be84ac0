"""The recorder's own memory over a constant live set: flat to 1 %, or to one region, after half of
the work, whatever the program repeats."""

import json

import pytest
import support
from interpreters import INTERPRETERS
from torture_support import HERE, STRESS

import surroundings

# mode: amount in CI, amount in `make stress`
PROGRAMS = {"threads": (50_000, 1_000_000), "crowds": (50_000, 1_000_000), "events": (10_000_000, 1_000_000_000)}
SCRIPTS = {"marks": (10_000, 40_000), "same_names": (10_000, 100_000)}
OWN_NAMES = (10_000, 100_000)

# A function in a file of its own has a name (its characters and a NUL), a code record, stack nodes and sites, and its share of
# four hash indexes, that stay for good.
BYTES_OF_A_FUNCTION = 400


# What the recorder takes from the kernel at a time while it has little: for one page more, when a page of its tables splits
# because the addresses happen to crowd there.
REGION = 16 << 10


def assert_flat(warm, end):
    grown = end["recorder_bytes"] - warm["recorder_bytes"]
    assert grown <= max(warm["recorder_bytes"] // 100, REGION)


def numbers(command, level):
    result = surroundings.run(command, support.recorded_environment(level), timeout=1200 if STRESS else 120)
    assert result.returncode == 0, result.stderr
    warm, end = map(json.loads, result.stdout.splitlines())
    assert (warm["when"], end["when"]) == ("warm", "end")
    assert end["dropped"] == 0
    return warm, end


@pytest.fixture(scope="session")
def offsets(built_program):
    return surroundings.run([built_program("bounded"), "offsets"]).stdout.strip()


@pytest.mark.parametrize("mode", PROGRAMS)
def test_c_program(built_program, mode):
    warm, end = numbers([built_program("bounded"), mode, PROGRAMS[mode][STRESS]], "heap")
    print(warm, end)
    assert_flat(warm, end)
    assert end["live_blocks"] == warm["live_blocks"]
    assert end["events"] >= PROGRAMS[mode][STRESS]


@pytest.mark.parametrize("level", support.LEVELS)
@pytest.mark.parametrize("mode", SCRIPTS)
def test_python_program(offsets, mode, level):
    amount = SCRIPTS[mode][STRESS]
    warm, end = numbers([INTERPRETERS["system"], HERE / "bounded.py", mode, amount, offsets], level)
    print(warm, end)
    assert_flat(warm, end)
    assert end["generation"] == (amount if mode == "marks" else 0)


@pytest.mark.parametrize("level", support.LEVELS)
def test_functions_with_names_of_their_own(offsets, level):
    amount = OWN_NAMES[STRESS]
    warm, end = numbers([INTERPRETERS["system"], HERE / "bounded.py", "own_names", amount, offsets], level)
    each = (end["recorder_bytes"] - warm["recorder_bytes"]) / (end["done"] - warm["done"])
    print(f"{each:.0f} bytes a function")
    assert each <= BYTES_OF_A_FUNCTION
