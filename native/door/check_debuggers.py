"""Says of each gdb and lldb on PATH in one line whether memtrace works in it, and what to do where it does not.

    check_debuggers.py GDB_ADAPTER LLDB_ADAPTER      (`make check-debuggers`)
"""

import os
import re
import subprocess
import sys

GDB = re.compile(r"gdb(-\d+)?$")
LLDB = re.compile(r"lldb(-\d+)?$")
ASKED = "memtrace show --json"


def programs():
    """(path, name) of each debugger, those that are only links to one of them left out."""
    seen = set()
    for directory in os.get_exec_path():
        names = sorted(os.listdir(directory)) if os.path.isdir(directory) else []
        for name in names:
            path = os.path.join(directory, name)
            if (GDB.match(name) or LLDB.match(name)) and os.access(path, os.X_OK) and os.path.realpath(path) not in seen:
                seen.add(os.path.realpath(path))
                yield path, name


def ask(command):
    try:
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as problem:
        return "", str(problem)
    return ended.stdout.decode("utf-8", "replace"), ended.stderr.decode("utf-8", "replace")


def verdict(output, errors):
    if '"command":"show"' in output:
        return "works"
    ours = re.findall(r"memtrace: .*", errors)
    if ours:
        return ours[-1]
    if "Python scripting is not supported" in errors or "not built with" in errors:
        return "was built without Python: install one that has it"
    said = errors.strip().splitlines() or ["it said nothing"]
    return "does not work: " + said[-1]


def main(gdb_adapter, lldb_adapter):
    for path, name in programs():
        if GDB.match(name):
            command = [path, "-nx", "-batch", "-ex", "source " + gdb_adapter, "-ex", ASKED]
        else:
            command = [path, "-x", "-b", "-o", "command script import " + lldb_adapter, "-o", ASKED]
        version = (ask([path, "--version"])[0].splitlines() or ["?"])[0]
        print("%-20s %-44s %s" % (path, version, verdict(*ask(command))))


if __name__ == "__main__":
    main(*map(os.path.abspath, sys.argv[1:3]))
