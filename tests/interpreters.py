"""The interpreters that tests run against: the system's, those of other Debian suites, and those that pyenv built where
there are any."""

import dataclasses
import functools
import os
import pathlib
import subprocess

import pytest

import roots

SYSTEM = "/usr/bin/python3"
PYENV = pathlib.Path.home() / ".pyenv" / "versions"
PYENV_VERSIONS = ("3.9.18", "3.10.13", "3.11.7", "3.12.1", "3.13.0")


def _find(path):
    return str(path) if pathlib.Path(path).exists() else None


# name -> path, or None where it is not installed
INTERPRETERS = {"system": _find(SYSTEM), **{v: _find(PYENV / v / "bin" / "python3") for v in PYENV_VERSIONS}}


@functools.lru_cache(maxsize=None)
def version_of(python):
    """(major, minor, micro)"""
    code = "import sys; print(*sys.version_info[:3])"
    result = subprocess.run([python, "-c", code], stdout=subprocess.PIPE, check=True, timeout=60)
    return tuple(map(int, result.stdout.split()))


@dataclasses.dataclass(frozen=True)
class Interpreter:
    """One that the recorder must know. `suite`: the Debian suite in whose root it lives; None: this machine."""

    name: str
    minor: int
    path: str
    suite: str = None
    variables: tuple = ()  # (name, value): what makes it the variant that it is

    def __str__(self):
        return self.name

    @property
    def inside(self):
        """The command that leads to it."""
        return [] if self.suite is None else roots.inside(self.suite)

    @property
    def is_debug_build(self):
        return self.path.endswith("d")

    def require(self):
        """Skips the test where it is not to be had; but Debian's are always to be had in CI."""
        if self.suite is not None:
            roots.inside(self.suite)
        elif not pathlib.Path(self.path).exists():
            is_optional = self.path.startswith(str(PYENV)) or os.environ.get("CI") != "true"
            (pytest.skip if is_optional else pytest.fail)(f"{self.name}: there is no {self.path}")

    def told_version(self):
        command = [*self.inside, self.path, "-c", "import sys; print(sys.version.split('(')[0])"]
        return subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=60, text=True).stdout.strip()


def _of_pyenv(version):
    return Interpreter(f"{version}-pyenv", int(version.split(".")[1]), str(PYENV / version / "bin/python3"))


def _of_suite(suite, minor, suffix="", label="", **variables):
    path = f"/usr/bin/python3.{minor}{suffix}"
    return Interpreter(f"3.{minor}{suffix}{label}-{suite}", minor, path, suite, tuple(sorted(variables.items())))


# Where all the allocator settings of CPython are tried.
THOROUGH = [Interpreter("3.11-system", 11, SYSTEM), _of_suite("trixie", 13)]
# The other minor versions. pyenv's have a shared libpython, as all of pyenv's below.
MINORS = [
    _of_suite("bullseye", 9),
    _of_pyenv("3.10.13"),
    _of_pyenv("3.12.1"),
    _of_suite("forky", 14),
    _of_suite("forky", 15),
]
# Builds that differ from those: shared libpython, debug, JIT, mimalloc.
VARIANTS = [
    _of_pyenv("3.9.18"),
    _of_pyenv("3.11.7"),
    _of_pyenv("3.13.0"),
    _of_suite("bullseye", 9, "d"),
    _of_suite("forky", 13),
    _of_suite("forky", 13, "d"),
    _of_suite("forky", 14, "d"),
    _of_suite("forky", 15, "d"),
    *(_of_suite("forky", minor, "", "-jit", PYTHON_JIT="1") for minor in (14, 15)),
    *(_of_suite("forky", minor, "", "-mimalloc", PYTHONMALLOC="mimalloc") for minor in (13, 14, 15)),
]
EVERYWHERE = THOROUGH + MINORS + VARIANTS
# For what takes long: one of each minor version; with MEMTRACE_STRESS=1 all.
EXAMINED = EVERYWHERE if os.environ.get("MEMTRACE_STRESS") == "1" else THOROUGH + MINORS
