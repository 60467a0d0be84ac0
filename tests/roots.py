"""Roots of other Debian suites: interpreters and debuggers that this machine does not have (matrix/make_root.sh)."""

import functools
import os
import pathlib
import subprocess

import pytest

from surroundings import BUILD, ROOT, TIMEOUT

MAKE = ROOT / "tests/matrix/make_root.sh"
ENTER = ROOT / "tests/matrix/in_root.sh"
PACKAGES = {
    "bookworm": "bash coreutils lldb-14 python3-lldb-14 libdw1 libelf1".split(),
    "bullseye": "bash coreutils python3.9 python3.9-dbg python3-numpy".split(),
    "trixie": "bash coreutils dash python3.13 python3-numpy gdb lldb-19 python3-lldb-19 libdw1t64 libelf1t64".split(),
    "forky": "bash coreutils python3-numpy python3.13 python3.13-dbg python3.14 python3.14-dbg libpython3.14 python3.15 "
    "python3.15-dbg libpython3.15 gdb lldb-21 python3-lldb-21 libdw1t64 libelf1t64 libreadline8t64".split(),
}


@functools.lru_cache(maxsize=None)
def directory():
    """Where MEMTRACE_MATRIX says; else the user's cache, once somebody made that folder; else the build folder."""
    if "MEMTRACE_MATRIX" in os.environ:
        return pathlib.Path(os.environ["MEMTRACE_MATRIX"])
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "memtrace/matrix"
    return cache if cache.is_dir() else BUILD / "matrix"


@functools.lru_cache(maxsize=None)
def _being_made(suite):
    return subprocess.Popen(
        [str(word) for word in (MAKE, suite, directory() / suite, *PACKAGES[suite])],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def begin(suites):
    """Has them made side by side, while the tests go on."""
    if os.geteuid() == 0:
        for suite in suites:
            _being_made(suite)


@functools.lru_cache(maxsize=None)
def _problem_of(suite):
    """What keeps us out of it, or None. Waits for it to be made."""
    if os.geteuid() != 0:
        return "only root can enter a root of another Debian suite"
    making = _being_made(suite)
    said, _ = making.communicate(timeout=5 * TIMEOUT)
    if making.returncode != 0:
        return f"no root of Debian {suite} (no network?): {said.strip()[-300:]}"
    visit = [ENTER, directory() / suite, "/bin/true"]
    entered = subprocess.run(visit, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT)
    if entered.returncode != 0:
        return f"the root of Debian {suite} can't be entered (no right to mount?): {entered.stderr.strip()[-300:]}"
    return None


def inside(suite):
    """The command that leads into a suite's root. Where there is none the test is skipped, but not in CI."""
    problem = _problem_of(suite)
    if problem is not None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(problem)
    return [str(ENTER), str(directory() / suite)]
