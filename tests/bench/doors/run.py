#!/usr/bin/env python3
"""How fast each door reads a whole heap: gdb and lldb, on the live process, on its core, and through servers.

    tests/bench/doors/run.py            8,500,000 objects that the collector watches: about 1 GB
    tests/bench/doors/run.py -n 1e6

The answer is `audit`, which needs every object and every reference; the clock runs inside the debugger around that one
command, the first of its session. Beside a server stands how fast the debugger alone reads through it: all of the process's
memory that can be written, in pieces of 64 KiB, in a session of its own.
"""
import argparse
import pathlib
import re
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent)]

from doors import gdb, lldb  # noqa: E402
from stubs import CONNECT, PAIRS, server  # noqa: E402
from surroundings import gcore, running  # noqa: E402

PYTHON = "/usr/bin/python3"
HEAP = HERE.parent / "heap/big_heap.py"
TOOLS = {"gdb": f"source {HERE / 'in_gdb.py'}", "lldb": f"command script import {HERE / 'in_lldb.py'}"}
DEBUGGERS = {"gdb": gdb, "lldb": lldb}
LIMIT = 1800  # seconds, of any one debugger


def said(result, word):
    """The numbers behind a word."""
    found = re.search(rf"^{word} ([0-9. ]+)$", result.stdout, re.M)
    assert found, result.stdout + result.stderr
    return [float(number) for number in found.group(1).split()]


def ask(debugger, before, line, arguments=()):
    script = [TOOLS[debugger], *before, line, *(["detach"] if debugger == "lldb" and not arguments else [])]
    return DEBUGGERS[debugger](script, arguments, timeout=LIMIT)


def answer(debugger, before, arguments=()):
    return said(ask(debugger, before, "clock memtrace audit --json", arguments), "SECONDS")[0]


def writable(pid):
    """[START-END] of a process's writable memory, and how many bytes it is."""
    lines = (line.split() for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines())
    ranges = [line[0] for line in lines if line[1].startswith("rw")]
    return ranges, sum(int(end, 16) - int(start, 16) for start, end in (text.split("-") for text in ranges))


def measure(count):
    rows = []
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory, running([PYTHON, HEAP, count]) as process:
        ranges, size = writable(process.pid)
        attach = {"gdb": f"attach {process.pid}", "lldb": f"process attach -p {process.pid}"}
        for debugger in DEBUGGERS:
            rows.append((f"{debugger}, live", answer(debugger, [attach[debugger]]), None))
        core = gcore(process.pid, pathlib.Path(directory) / "core")
        rows.append(("gdb, core", answer("gdb", [], [PYTHON, core]), None))
        rows.append(("lldb, core", answer("lldb", [], ["-c", core, PYTHON]), None))
        for debugger, stub in PAIRS:
            with server(stub, process.pid) as address:
                connect = [f"{CONNECT[debugger]} {address}"]
                read, seconds = said(ask(debugger, connect, f"rawread {' '.join(ranges)}"), "READ")
            with server(stub, process.pid) as address:
                taken = answer(debugger, [f"{CONNECT[debugger]} {address}"])
            rows.append((f"{debugger}, {stub}", taken, read / seconds))
    return size, rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", default="8.5e6", help="objects that the collector watches")
    size, rows = measure(parser.parse_args().n)
    print(f"{size / 1e6:,.0f} MB that can be written\n")
    print("| door | answer, s | raw read, MB/s | answer / raw read of all |")
    print("|---|---:|---:|---:|")
    for name, seconds, speed in rows:
        raw = f"{speed / 1e6:.1f} | {seconds / (size / speed):.2f}" if speed else "- | -"
        print(f"| {name} | {seconds:.1f} | {raw} |")


if __name__ == "__main__":
    main()
