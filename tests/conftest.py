"""Fixtures for all tests. What is missing on a machine skips its tests with the reason printed (`pytest -ra`)."""

import pytest

import roots
import rounds
from debuggers import Debugger, compared
from interpreters import INTERPRETERS, Interpreter
from surroundings import BUILD, COMMAND, LIBRARY, RECORDER


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
    return roots.inside("trixie")


@pytest.fixture(scope="session")
def bookworm():
    """Likewise, with lldb 14 as Debian 12 packages it."""
    return roots.inside("bookworm")


# name -> [version that it told, tests that used it]
interpreters_used = {}


@pytest.fixture(scope="session")
def interpreter(request):
    """An interpreter of interpreters.EVERYWHERE; tests choose theirs by indirect parameters."""
    chosen = request.param
    chosen.require()
    interpreters_used.setdefault(chosen.name, [chosen.told_version(), 0])
    return chosen


def pytest_runtest_teardown(item):
    used = interpreters_used.get(getattr(item.funcargs.get("interpreter"), "name", None))
    if used is not None:
        used[1] += 1


def pytest_collection_finish(session):
    """Whatever roots the tests will enter are begun now, side by side."""
    params = [getattr(item, "callspec", None) for item in session.items]
    chosen = [value for call in params if call is not None for value in call.params.values()]
    suites = {one.suite for one in chosen if isinstance(one, (Debugger, Interpreter)) and one.suite is not None}
    for item in session.items:
        suites |= roots.PACKAGES.keys() & set(item.fixturenames)
    roots.begin(sorted(suites))


def pytest_terminal_summary(terminalreporter):
    if interpreters_used:
        terminalreporter.section("interpreters")
    for name, (version, tests) in interpreters_used.items():
        terminalreporter.write_line(f"{name:24} {version:36} {tests} tests")
    if compared:
        terminalreporter.section("debuggers that answered as the command line does")
    for debugger, versions in compared.items():
        lists = ", ".join(f"{kind} {' '.join(sorted(found))}" for kind, found in versions.items())
        terminalreporter.write_line(f"{debugger:20} {debugger.told_version():36} {lists}")
    if rounds.played:
        terminalreporter.section("rounds of recording running processes")
    for cell, tally in rounds.played.items():
        terminalreporter.write_line(f"{cell:16} {tally}")
    if rounds.survived:
        terminalreporter.section("processes that outlived their killed debugger")
    for cell, count in rounds.survived.items():
        terminalreporter.write_line(f"{cell:16} {count}")
