"""What the tests of counted references share: the extension that leaks, and a program that a debugger attaches to while it
waits."""

import json
import os

from doors import gdb, lldb
from interpreters import EVERYWHERE, SYSTEM
from surroundings import EXAMPLES, bare_environment, run, running

LEAKY = EXAMPLES / "leaky_extension/leaky.c"
DEBUGGERS = {"gdb": gdb, "lldb": lldb}
# Before there is a target. With separate debug symbols lldb 19 can't unwind functions that the compiler has split.
BEFORE = {"gdb": ["set width 80"], "lldb": ["settings set symbols.enable-external-lookup false"]}
PYTHON = {"gdb": "python", "lldb": "script"}
ATTACH = {"gdb": "attach {}", "lldb": "process attach -p {}"}
# gdb knows no symbols of the libc of a root; lldb's batch mode ends at signals.
STOP = {"gdb": "handle SIGUSR1 stop print", "lldb": "breakpoint set -n getppid"}


def named(*names):
    """The interpreters of these names."""
    chosen = [one for one in EVERYWHERE if one.name in names]
    assert len(chosen) == len(names)
    return chosen


def build_extension(interpreter, directory):
    """With the system's headers: for the others by the stable ABI, in which Py_DECREF is a call from 3.10 on."""
    include = run(["/usr/bin/python3-config", "--includes"]).stdout.split()
    if interpreter.path != SYSTEM:
        include.append(f"-DPy_LIMITED_API={'0x03090000' if interpreter.minor == 9 else '0x030A0000'}")
    made = run(["gcc", "-shared", "-fPIC", "-O1", "-g", *include, LEAKY, "-o", directory / "leaky.so"])
    assert made.returncode == 0, made.stderr


def attached(debugger, interpreter, directory, program, script, *arguments, **environment):
    """What the debugger says, attached while the program waits; `go` in the script lets it go on."""
    fifo, path = directory / "fifo", directory / "program.py"
    os.mkfifo(fifo)
    path.write_text(program)
    go = f"{PYTHON[debugger]} import os; os.write(os.open('{fifo}', os.O_RDWR), b'go\\n')"
    variables = {"PYTHONPATH": directory, "PYTHONDONTWRITEBYTECODE": 1, **environment}
    command = [*interpreter.inside, "/usr/bin/env", *(f"{name}={value}" for name, value in variables.items())]
    with running([*command, interpreter.path, path, fifo, *arguments], bare_environment()) as process:
        lines = [*BEFORE[debugger], ATTACH[debugger].format(process.pid), STOP[debugger]]
        result = DEBUGGERS[debugger]([*lines, *(go if line == "go" else line for line in script)])
    return result.stdout, result.stderr


def objects_in(output):
    return [json.loads(line) for line in output.splitlines() if line.startswith('{"schema"')]


def check_balance(sheet):
    assert sum(row["net"] for row in sheet["rows"]) == sheet["refcount"] - sheet["refcount_at_start"]
    assert all(row["net"] == row["increments"] - row["decrements"] for row in sheet["rows"])
    for key in ("increments", "decrements"):
        assert sum(row[key] for row in sheet["rows"]) == sheet[key]
