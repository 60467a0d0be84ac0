"""Fixtures for all tests. What is missing on a machine skips its tests with the reason printed (`pytest -ra`)."""

import os
import pathlib
import subprocess

import pytest

from interpreters import INTERPRETERS
from surroundings import BUILD, COMMAND, LIBRARY, RECORDER, ROOT, TIMEOUT

MAKE_ROOT = ROOT / "tests/matrix/make_root.sh"
IN_ROOT = ROOT / "tests/matrix/in_root.sh"
ROOT_PACKAGES = {
    "trixie": "bash coreutils python3.13 python3-numpy gdb lldb-19 python3-lldb-19 libdw1t64 libelf1t64".split(),
}


@pytest.fixture(scope="session", autouse=True)
def built():
    missing = [path.name for path in (RECORDER, LIBRARY, COMMAND) if not path.exists()]
    if missing:
        pytest.exit(f"{BUILD} has no {', '.join(missing)}: run `make` first", returncode=2)


@pytest.fixture(scope="session")
def python():
    """The system's interpreter."""
    return INTERPRETERS["system"] or pytest.skip("there is no /usr/bin/python3")


@pytest.fixture(scope="session")
def trixie():
    """The command that leads into a root with CPython 3.13, gdb 16 and lldb 19; made once, kept in the build folder."""
    if os.geteuid() != 0:
        pytest.skip("only root can enter a root of another Debian suite")
    directory = pathlib.Path(os.environ.get("MEMTRACE_MATRIX", BUILD / "matrix")) / "trixie"
    made = subprocess.run(
        [MAKE_ROOT, "trixie", directory, *ROOT_PACKAGES["trixie"]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=5 * TIMEOUT,
        text=True,
    )
    if made.returncode != 0:
        pytest.skip(f"no root of Debian trixie (no network?): {made.stdout.strip()[-300:]}")
    return [str(IN_ROOT), str(directory)]
