"""The stop for the next object of a type tells of that very object and of no other, on every minor version (with
MEMTRACE_STRESS=1 on every build)."""

import pytest

import support
from interpreters import EXAMINED, THOROUGH

ROUNDS = 400
PLACES = [(interpreter, {}) for interpreter in EXAMINED]
PLACES += [(interpreter, {"PYTHONMALLOC": allocator}) for interpreter in THOROUGH for allocator in ("debug", "malloc")]


@pytest.fixture(scope="session")
def library(compiled):
    flags = ["-shared", "-fPIC", "-include", support.HERE / "old_glibc.h"]
    return compiled("new_objects.so", "new_objects.c", "image_reader.c", flags=flags)


@pytest.mark.parametrize("interpreter, variables", PLACES, indirect=["interpreter"], ids=str)
def test_that_very_object(interpreter, variables, python_anywhere, library):
    environment = support.recorded_environment("objects", **variables)
    result = python_anywhere.run([support.HERE / "new_objects.py", library, "1", str(ROUNDS)], environment)
    assert (result.returncode, result.stdout) == (0, f"{ROUNDS}\n"), result.stderr
