"""`break --refs` and `refs`: every change of one object's reference count, by place; in both debuggers. The sheet is in
balance with the count, and names the function of examples/leaky_extension that forgets a Py_DECREF."""

import os
import shutil

import pytest

from counting import ATTACH, BEFORE, DEBUGGERS, attached, build_extension, check_balance, named, objects_in
from doors import command_line, gdb
from surroundings import EXAMPLES, TIMEOUT, bare_environment, gcore, require_program, running

ORDERS = EXAMPLES / "leaky_extension/orders.py"

ROUNDS = 20
PROGRAM = f"""
import os, signal, sys
signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # gdb stops at it all the same
nothing = None

def rounds(items):
    for _ in range({ROUNDS}):
        leaky.count(items, None)
        leaky.longest(items)

def drop(short):
    short.pop()

if len(sys.argv) > 2:
    import leaky
watched = [1, 2]
items = [[0], watched]
short = [[3, 4]]
print("ready", flush=True)
open(sys.argv[1]).readline()
if len(sys.argv) > 2:
    rounds(items)
    os.getppid()  # lldb's batch mode ends at signals
    signal.raise_signal(signal.SIGUSR1)  # gdb knows no symbols of the libc of a root
drop(short)
"""

both = pytest.mark.parametrize("debugger", list(DEBUGGERS))


@pytest.fixture(scope="session", autouse=True)
def has_headers():
    require_program("/usr/bin/python3-config")  # of python3-dev


def watch(debugger, interpreter, directory, script, *arguments):
    return attached(debugger, interpreter, directory, PROGRAM, script, *arguments)


def check_leak(debugger, interpreter, directory):
    build_extension(interpreter, directory)
    # `rounds` is inside the program's module: by then the frame that knows `watched` is not the innermost.
    script = ["memtrace break --refs py:watched", "go", "continue", "memtrace refs", "memtrace refs --json"]
    script += ["memtrace break list --json", "memtrace object --json --limit 1 py:watched", "memtrace break delete 1"]
    output, errors = watch(debugger, interpreter, directory, [*script, "memtrace refs --json"], "leaky")
    assert len(objects_in(output)) == 4, output + errors
    sheet, listed, told, last = objects_in(output)
    check_balance(sheet)
    assert sheet["refcount"] == told["refcount"] == sheet["refcount_at_start"] + ROUNDS, output
    (row,) = listed["rows"]
    assert (row["kind"], row["hits"], row["address"]) == ("refs", sheet["changes"], told["address"])
    assert sheet["changes"] >= 3 * ROUNDS and sheet["lost"] == 0, output
    functions = {row["function"]: row for row in sheet["functions"] if row["module"].endswith("/leaky.so")}
    counted = {name: (row["increments"], row["decrements"]) for name, row in functions.items()}
    assert counted == {"longest": (ROUNDS, 0), "count": (ROUNDS, ROUNDS)}, output
    leaking = [row for row in sheet["rows"] if "longest" in row["stack"]]
    text = next(line for line in PROGRAM.splitlines() if "longest" in line)
    assert {row["python"]["line"] for row in leaking} == {PROGRAM.splitlines().index(text) + 1}
    assert {row["python"]["function"] for row in leaking} == {"rounds"} and sum(row["net"] for row in leaking) == ROUNDS
    assert f"+{ROUNDS}     {ROUNDS}        0  longest " in output
    assert max(len(line) for line in output.splitlines() if "rounds" in line and line[0] in " +") <= 80
    assert (last["ended"], last["rows"]) == ("no longer counted", sheet["rows"])


@both
@pytest.mark.parametrize("interpreter", named("3.11-system"), ids=str, indirect=True)
def test_the_leaking_function_is_named(debugger, interpreter, tmp_path):
    check_leak(debugger, interpreter, tmp_path)


@both
@pytest.mark.parametrize("interpreter", named("3.11-system"), ids=str, indirect=True)
def test_the_example(debugger, interpreter, tmp_path):
    """As its README tells."""
    build_extension(interpreter, tmp_path)
    shutil.copy(ORDERS, tmp_path)
    stop = {"gdb": "break {}", "lldb": "breakpoint set -n {}"}[debugger]
    pending = ["set breakpoint pending on"] if debugger == "gdb" else []
    script = [*BEFORE[debugger], *pending, stop.format("getpid"), stop.format("getppid"), "run"]
    script += ["memtrace break --refs py:watched", "continue", "memtrace refs --json", "continue", "memtrace refs --json"]
    if debugger == "lldb":  # the target comes after what must be set before it
        script.insert(1, f"target create {interpreter.path}")
        script.insert(2, f"settings set target.run-args {tmp_path / ORDERS.name}")
    arguments = ["--args", interpreter.path, tmp_path / ORDERS.name] if debugger == "gdb" else []
    result = DEBUGGERS[debugger](script, arguments)
    assert len(objects_in(result.stdout)) == 2, result.stdout + result.stderr
    sheet, last = objects_in(result.stdout)
    check_balance(sheet)
    check_balance(last)
    counted = [(row["function"], row["net"], row["increments"]) for row in sheet["functions"]]
    assert counted == [("longest", 20, 20), ("count", 0, 20)] and sheet["ended"] is None
    assert last["ended"] == "its process is gone" and last["refcount"] == 20  # nobody else holds it


MORE = named("3.9-bullseye", "3.12.1-pyenv", "3.13-trixie", "3.14-forky", "3.15-forky")


@pytest.mark.parametrize("interpreter", MORE, ids=str, indirect=True)
def test_on_every_kind_of_count(interpreter, tmp_path):
    check_leak("gdb", interpreter, tmp_path)


# lldb finds no function of a root's libc to stop at.
@pytest.mark.parametrize("interpreter", named("3.9.18-pyenv", "3.13.0-pyenv"), ids=str, indirect=True)
def test_on_every_kind_of_count_in_lldb(interpreter, tmp_path):
    check_leak("lldb", interpreter, tmp_path)


@both
@pytest.mark.parametrize("interpreter", named("3.11-system", "3.14-forky"), ids=str, indirect=True)
def test_the_end_of_the_object_stops(debugger, interpreter, tmp_path):
    script = ["memtrace break --refs py:short[0]", "go", "continue", "memtrace refs --json"]
    script += ["memtrace break list --json", "memtrace threads --json", "continue", "memtrace refs --json"]
    output, errors = watch(debugger, interpreter, tmp_path, script)
    assert len(objects_in(output)) == 4, output + errors
    sheet, listed, threads, last = objects_in(output)
    check_balance(sheet)
    assert (sheet["refcount"], listed["rows"]) == (0, [])
    assert sheet["ended"] == last["ended"] == "the last reference is gone: the object ends"
    assert output.count(sheet["ended"]) == 3  # once in text: the process has stopped for it, where it happened
    assert threads["rows"][0]["frames"][0]["function"] == "drop", output


@both
def test_what_is_let_go_of_lives_on(debugger, python, tmp_path):
    """A watchpoint that stayed in the processor would kill it at the next change."""
    fifo, program = tmp_path / "fifo", tmp_path / "program.py"
    os.mkfifo(fifo)
    program.write_text(PROGRAM)
    with running([python, program, fifo], bare_environment()) as process:
        result = DEBUGGERS[debugger]([ATTACH[debugger].format(process.pid), "memtrace break --refs py:watched"])
        assert "memory breakpoint 1: references to the list at" in result.stdout, result.stderr
        fifo.write_text("go\n")
        assert process.wait(TIMEOUT) == 0


def refusals(debugger, interpreter, directory, *commands):
    _, errors = watch(debugger, interpreter, directory, commands)
    return [line for line in errors.splitlines() if "memtrace break" in line]


@pytest.mark.parametrize("interpreter", named("3.12.1-pyenv"), ids=str, indirect=True)
def test_what_is_not_attempted_is_said(interpreter, tmp_path):
    twice, other = "memtrace break --refs py:watched", "memtrace break --refs py:items --if 1"
    said = refusals("gdb", interpreter, tmp_path, "memtrace break --refs py:nothing", other, twice, twice)
    assert len(said) == 3, said
    assert said[0].startswith("memtrace break: NoneType at 0x") and "is immortal" in said[0]
    assert said[1].endswith("--refs stops only where the object's life ends: it goes with no other option")
    assert said[2].endswith("the references of one object are counted already: `memtrace break delete 1` first")


@pytest.mark.parametrize("interpreter", named("3.11-system"), ids=str, indirect=True)
def test_without_hardware_watchpoints_it_is_refused(interpreter, tmp_path):
    """gdb would step through the whole program instead."""
    off = "set can-use-hw-watchpoints 0"
    said = refusals("gdb", interpreter, tmp_path, off, "memtrace break --refs py:watched")
    assert len(said) == 1 and "the debugger gives no hardware watchpoint here" in said[0], said


def test_only_a_debugger_watches_and_only_a_process(python, tmp_path):
    with running([python, "-c", "kept = [1]\nprint('ready', flush=True)\ninput()"]) as process:
        answer = command_line(["--pid", process.pid, "break", "--refs", "py:kept"])
        assert answer.returncode == 1 and "only a debugger can watch a process: use gdb or lldb" in answer.stderr
        core = gcore(process.pid, tmp_path / "core")
    answer = gdb(["memtrace break --refs py:kept"], [python, "-c", core])
    assert "memtrace break: a core is what a process left behind" in answer.stderr, answer.stderr
