"""Inside lldb: what in_gdb.py is for gdb."""

import time

import lldb

PIECE = 1 << 16


def clock(debugger, line, context, result, internal):
    answer = lldb.SBCommandReturnObject()
    begun = time.monotonic()
    debugger.GetCommandInterpreter().HandleCommand(line, answer)
    if answer.Succeeded():
        print("SECONDS %.3f" % (time.monotonic() - begun))


def rawread(debugger, line, context, result, internal):
    ranges = line.split()
    process = debugger.GetSelectedTarget().GetProcess()
    read, begun = 0, time.monotonic()
    for start, end in (map(lambda word: int(word, 16), text.split("-")) for text in ranges):
        while start < end:
            size = min(PIECE, end - start)
            read += len(process.ReadMemory(start, size, lldb.SBError()) or b"")
            start += size
    print("READ %d %.3f" % (read, time.monotonic() - begun))


def __lldb_init_module(debugger, internal):
    for name in ("clock", "rawread"):
        debugger.HandleCommand("command script add -f %s.%s %s" % (__name__, name, name))
