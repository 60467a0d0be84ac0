"""One recorder binary for every CPython and every C library: what it asks of them, and what it says of those that it
does not know."""

import json
import re

import pytest

import roots
import support
import surroundings
from interpreters import EVERYWHERE
from surroundings import COMMAND, RECORDER

OLDEST_GLIBC = (2, 28)
STATE_UNSUPPORTED = 3

everywhere = pytest.mark.parametrize("interpreter", EVERYWHERE, indirect=True, ids=str)

TELL = """
import sys, sysconfig
jit = getattr(sys, "_jit", None)
print(*sys.version_info[:2], hasattr(sys, "gettotalrefcount"), jit is not None and jit.is_enabled())
"""


@everywhere
def test_interpreters_are_what_they_are_called(interpreter, python_anywhere):
    """Or the other tests would prove something else than they say."""
    result = python_anywhere.run(["-c", TELL], support.plain_environment())
    major, minor, debug, jit = result.stdout.split()
    assert (int(major), int(minor)) == (3, interpreter.minor)
    assert debug == str(interpreter.is_debug_build)
    assert jit == str("PYTHON_JIT" in dict(interpreter.variables))


def test_symbol_versions_are_old_enough():
    listing = surroundings.run(["objdump", "-T", RECORDER])
    assert listing.returncode == 0, listing.stderr
    versions = {tuple(map(int, found.split("."))) for found in re.findall(r"GLIBC_([0-9.]+)", listing.stdout)}
    assert versions and max(versions) <= OLDEST_GLIBC
    assert "GLIBC_PRIVATE" not in listing.stdout


def status_of(command, level, environment=None, inside=()):
    environment = support.plain_environment(**(environment or {}))
    follow = ["--follow"] if inside else []
    run = [COMMAND, "run", *follow, "--level", level, "--report", "status", "--json", "--out", "/dev/fd/2", "--"]
    result = surroundings.run([*run, *inside, *command], environment)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stderr)


# What CPython makes of PYTHONMALLOC, in its own words.
ALLOCATORS = {
    "": "pymalloc",
    "default": "pymalloc",
    "malloc": "malloc",
    "pymalloc": "pymalloc",
    "debug": "pymalloc_debug",
    "malloc_debug": "malloc_debug",
    "pymalloc_debug": "pymalloc_debug",
    "mimalloc": "mimalloc",
    "mimalloc_debug": "mimalloc_debug",
}
FIRST_WITH_MIMALLOC = 13


@pytest.mark.parametrize("level", support.LEVELS)
@pytest.mark.parametrize("interpreter", [one for one in EVERYWHERE if not one.variables], indirect=True, ids=str)
def test_row_51_allocators_are_reported(interpreter, level):
    for asked, told in ALLOCATORS.items():
        if "mimalloc" in asked and interpreter.minor < FIRST_WITH_MIMALLOC:
            continue
        if interpreter.is_debug_build and asked in ("", "default"):
            told = "pymalloc_debug"
        status = status_of([interpreter.path, "-c", "1"], level, {"PYTHONMALLOC": asked}, interpreter.inside)
        assert (status["python_allocator"], status["python_stacks"]) == (told, "proven"), asked


STRANGERS = {
    "3.99": (["-DVERSION=0x036300f0ul"], "no known frame layout"),
    "3.14 without the GIL": (["-DVERSION=0x030e00f0ul", "-DFREE_THREADED"], "free-threaded"),
}


@pytest.mark.parametrize("name", STRANGERS)
@pytest.mark.parametrize("level", support.LEVELS)
def test_a_python_that_nobody_knows(compiled, name, level):
    """What it takes from the C library counts, without stacks; its own domains are left alone; and `status` says so."""
    flags, problem = STRANGERS[name]
    program = compiled(name, "strange_python.c", "image_reader.c", flags=[*flags, "-rdynamic"])
    image = json.loads(support.run([program], support.recorded_environment(level)).stdout)
    assert image["python_state"] == STATE_UNSUPPORTED
    assert problem in image["python_problem"]
    allocators = {site["site"]: (site["allocator"], site["stack"]) for site in image["sites"]}
    blocks = {size: allocators[site] for _, size, site in image["blocks"] if size in (1001, 1002)}
    assert blocks == {size: (support.ALLOCATORS["malloc"], []) for size in (1001, 1002)}

    status = status_of([program], level)
    assert status["python_stacks"] == "unsupported"
    (lack,) = [lack for lack in status["degraded"] if lack["what"] == "Python objects and stacks"]
    assert problem in lack["why"]


EMBEDDED = {14: "libpython3.14.so.1.0", 15: "libpython3.15.so.1.0"}


@pytest.mark.parametrize("minor", EMBEDDED)
@pytest.mark.parametrize("level", support.LEVELS)
def test_embedded_libpython(compiled, minor, level):
    """A program that loads libpython late, ends its interpreter and starts another: bytes(81_001) of the first is gone
    with it, bytes(81_002) lives with its header under the function of the second one."""
    inside = roots.inside("forky")
    program = compiled("embedding", surroundings.ROOT / "tests/torture/embedding.c", "image_reader.c")
    python = support.Python(program, inside)
    result = python.run([EMBEDDED[minor]], support.recorded_environment(level))
    assert result.returncode == 0, result.stderr
    told, _, dump = result.stdout.splitlines()
    state, version = map(int, told.split())
    assert (state, version >> 16) == (support.PYTHON_PROVEN, 3 << 8 | minor)
    image = json.loads(dump)
    sites = {site["site"]: site for site in image["sites"]}
    ((size, site),) = [(size, site) for _, size, site in image["blocks"] if 81_000 < size < 81_100]
    assert size == 81_002 + 33
    assert [function for function, _, _ in sites[site]["stack"]] == ["second_function", "<module>"]
