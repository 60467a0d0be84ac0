"""What the recorder's tests share: building their C programs, and running programs recorded."""

import json
import pathlib
import subprocess
import tempfile

import surroundings
from surroundings import COMMAND, RECORDER, ROOT

HERE = ROOT / "tests/recorder"
WORKLOADS = ROOT / "tests/bench/workloads"

# native/image/image.h
LEVELS = {"heap": 1, "objects": 2}
ALLOCATORS = {
    "malloc": 1, "calloc": 2, "realloc": 3, "reallocarray": 4, "posix_memalign": 5, "aligned_alloc": 6, "memalign": 7,
    "valloc": 8, "pvalloc": 9, "mmap": 10, "mremap": 11, "sbrk": 12,
    "PyMem_RawMalloc": 16, "PyMem_RawCalloc": 17, "PyMem_RawRealloc": 18, "PyMem_Malloc": 19, "PyMem_Calloc": 20,
    "PyMem_Realloc": 21, "PyObject_Malloc": 22, "PyObject_Calloc": 23, "PyObject_Realloc": 24,
}  # fmt: skip
PYTHON_ALLOCATORS = range(16, 25)
STATE_STOPPED = 2
PYTHON_PROVEN = 2

# The accounting core: what of native/recorder works without the hooks.
CORE = [
    ROOT / f"native/recorder/{name}.c"
    for name in "account sites marks stacks stops table ranges shadow pool memory index names thread window young".split()
]

WARNINGS = "-Wall -Wextra -Werror -Wshadow -Wno-unused-parameter".split()
STANDARDS = {"gcc": "-std=gnu11", "clang": "-std=gnu11", "g++": "-std=c++17"}


def compile_c(output, *sources, flags=(), compiler="gcc"):
    """Compiles `sources` (names in this folder, or paths) into `output`."""
    command = [compiler, STANDARDS[compiler], "-D_GNU_SOURCE", "-O1", "-g", "-fno-builtin", *WARNINGS, *flags]
    command += [f"-I{ROOT / 'native'}", f"-I{HERE}", "-o", output]
    result = surroundings.run(command + [HERE / source for source in sources] + ["-ldl", "-pthread"])
    assert result.returncode == 0, result.stderr
    return output


def plain_environment(**more):
    environment = surroundings.clean_environment(**more)
    del environment["MEMTRACE_LIBRARY"]
    return environment


def recorded_environment(level="objects", start=True, preload=(), **more):
    """What records a program that is started by somebody else. `preload`: libraries behind the recorder."""
    return plain_environment(
        LD_PRELOAD=":".join(map(str, (RECORDER, *preload))),
        MEMTRACE_LEVEL=level,
        MEMTRACE_START="1" if start else "0",
        **more,
    )


def attached_environment(**more):
    """For this folder's programs: they attach the recorder themselves where they begin to record."""
    return plain_environment(ATTACH_RECORDER=str(RECORDER), **more)


class Python:
    """An interpreter: of this machine, or of another Debian suite's root (`inside`: the command that leads there).
    `variables`: what it is always to have in its environment."""

    def __init__(self, path, inside=(), variables=()):
        self.path, self.inside, self.variables = path, list(inside), dict(variables)

    def run(self, arguments, environment):
        command = [self.path, *arguments]
        environment = {**environment, **self.variables}
        if not self.inside:
            return surroundings.run(command, environment)
        # What leads into the root is not to be recorded itself.
        variables = [f"{name}={value}" for name, value in environment.items()]
        return surroundings.run([*self.inside, "/usr/bin/env", "-i", *variables, *command], plain_environment())

    def run_by_memtrace(self, arguments, level, report, environment):
        """`memtrace run`: the finished process, and its report as JSON. It follows the way into a root."""
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder) / "report.json"
            follow = ["--follow"] if self.inside else []
            command = [COMMAND, "run", *follow, "--level", level, "--report", report, "--json", "--out", out, "--"]
            command += [*self.inside, self.path, *arguments]
            result = surroundings.run(command, {**environment, **self.variables})
            return result, json.loads(out.read_text())

    def has_module(self, name):
        return self.run(["-c", f"import {name}"], plain_environment()).returncode == 0


def run(command, environment):
    """As surroundings.run(), and the status must be 0."""
    result = surroundings.run(command, environment)
    assert result.returncode == 0, (result.returncode, result.stderr)
    return result


def bytes_of(command, environment):
    """Status, output and errors of a program whose output need not be text."""
    result = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=surroundings.TIMEOUT
    )
    return result.returncode, result.stdout, result.stderr
