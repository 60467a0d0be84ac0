"""The debuggers that doors are verified in: this machine's, and those of other Debian suites."""

import dataclasses
import os
import shutil

import pytest

import roots
from surroundings import LLDB, run


@dataclasses.dataclass(frozen=True)
class Debugger:
    """`suite`: the Debian suite in whose root it lives; None: this machine."""

    program: str
    suite: str = None

    def __str__(self):
        return f"{self.program}-{self.suite or 'system'}"

    def __format__(self, how):
        return format(str(self), how)

    @property
    def is_gdb(self):
        return self.program.startswith("gdb")

    @property
    def inside(self):
        """The command that leads to it."""
        return [] if self.suite is None else roots.inside(self.suite)

    def require(self):
        """Skips the test where it is not to be had, but not in CI."""
        if self.suite is not None:
            roots.inside(self.suite)
        elif shutil.which(self.program) is None:
            (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"{self.program} is not installed")

    def told_version(self):
        return run([*self.inside, self.program, "--version"]).stdout.splitlines()[0].strip()


DEBUGGERS = [
    Debugger("gdb"),
    Debugger(LLDB),
    Debugger("gdb", "trixie"),
    Debugger("lldb-19", "trixie"),
    Debugger("gdb", "forky"),
    Debugger("lldb-21", "forky"),
]

# debugger -> {"cores of" or "live": versions of CPython}: where every case was answered as by the command line.
compared = {}


def note(debugger, kind, version):
    compared.setdefault(debugger, {}).setdefault(kind, set()).add(version)
