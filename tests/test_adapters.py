"""What the adapters do by themselves, seen through a stub of the library: registration, completion, interrupts."""

import re
import subprocess

import pytest

from consoles import open_console
from doors import gdb, lldb
from surroundings import PROGRAMS, ROOT, clean_environment


@pytest.fixture(scope="module")
def stub(tmp_path_factory):
    """An environment in which the adapters load the stub."""
    library = tmp_path_factory.mktemp("stub") / "libmemtrace.so"
    source = PROGRAMS / "stub_library.c"
    command = ["gcc", "-Wall", "-shared", "-fPIC", "-I", ROOT / "native", "-o", library, source]
    subprocess.run(command, check=True, timeout=60)
    environment = clean_environment()
    environment["MEMTRACE_LIBRARY"] = str(library)
    return environment


@pytest.mark.parametrize("debugger", [gdb, lldb])
def test_lines_reach_the_library_whole(debugger, stub):
    script = [
        "memtrace again 'a  b' \"c\" --x=$rdi \\ *p->q",
        "memtrace aga x",  # a unique prefix
        "memtrace record",
        "memtrace record stop",
        "memtrace record --level heap",
    ]
    result = debugger(script, environment=stub)
    assert result.returncode == 0, result.stderr
    assert re.findall(r"^\[(.*)\] call \d+ script$", result.stdout, re.M) == [
        "again 'a  b' \"c\" --x=$rdi \\ *p->q",
        "again x",
        "record",
        "record stop",
        "record --level heap",
    ]


def test_gdb_completes(stub):
    script = [f"complete memtrace {line}" for line in ("ag", "again ", "again -", "again --j", "again x --l", "record st")]
    result = gdb(script, environment=stub)
    assert result.stdout.splitlines() == [
        "memtrace again",
        "memtrace again --json",
        "memtrace again --limit",
        "memtrace again --json",
        "memtrace again --limit",
        "memtrace again --json",
        "memtrace again x --limit",
        "memtrace record stop",
    ]


@pytest.mark.parametrize("debugger", [gdb, lldb])
def test_reads(debugger, stub):
    """A read that runs into a hole gives what is before it; one of nothing fails."""
    if debugger is gdb:
        result = gdb(["starti", "memtrace reads"], ["--args", "/bin/true"], environment=stub)
    else:
        result = lldb(["process launch --stop-at-entry", "memtrace reads"], ["--", "/bin/true"], environment=stub)
    assert "0 0 8 0 0 -1 0 -1" in result.stdout.splitlines(), result.stdout + result.stderr


@pytest.fixture(params=["gdb", "lldb"])
def console(request, stub):
    opened = open_console(request.param, environment=stub)
    yield opened
    opened.close()


def test_interrupt(console):
    """Ctrl-C ends the work, is told in one line, and the next command works."""
    console.send("memtrace spin\n")
    console.expect("\x1b\\[Kspinning")
    console.send("\x03")
    said = console.expect(console.prompt)
    assert "memtrace spin: interrupted" in said and "Traceback" not in said
    console.send("memtrace again\n")
    console.expect(r"\[again\] call \d+")


def test_somebody_looks_on(console):
    console.send("memtrace again\n")
    console.expect(r"\[again\] call \d+ interactive")


def test_empty_line_does_not_repeat(console):
    console.send("memtrace again\n")
    console.expect(r"\[again\] call \d+")
    console.expect(console.prompt)
    console.send("\n")
    after = console.expect(console.prompt)
    assert "call" not in after


def test_progress_is_for_people(console):
    """Not for what captures a command or reads it through a pipe."""
    console.send("memtrace tick\n")
    assert "ticking" in console.expect("ticked")
    console.expect(console.prompt)
    if console.prompt.startswith(r"\(gdb"):
        captured = ["pipe memtrace tick | cat", 'python print(gdb.execute("memtrace tick", to_string=True))']
    else:
        run = "lldb.debugger.GetCommandInterpreter().HandleCommand('memtrace tick', r)"
        captured = [f"script r = lldb.SBCommandReturnObject(); {run}; print(r.GetOutput())"]
    for line in captured:
        console.send(line + "\n")
        assert "ticking" not in console.expect("ticked\r?\n")
        console.expect(console.prompt)
