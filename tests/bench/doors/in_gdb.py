"""Inside gdb: `clock COMMAND` tells how long a command took, `rawread` how fast gdb alone reads all that can be written."""

import time

import gdb

PIECE = 1 << 16


class Clock(gdb.Command):
    def __init__(self):
        super().__init__("clock", gdb.COMMAND_USER)

    def invoke(self, line, from_terminal):
        begun = time.monotonic()
        gdb.execute(line, to_string=True)
        print("SECONDS %.3f" % (time.monotonic() - begun))


class RawRead(gdb.Command):
    """rawread START-END..."""

    def __init__(self):
        super().__init__("rawread", gdb.COMMAND_USER)

    def invoke(self, line, from_terminal):
        ranges = line.split()
        read, begun = 0, time.monotonic()
        for start, end in (map(lambda word: int(word, 16), text.split("-")) for text in ranges):
            while start < end:
                size = min(PIECE, end - start)
                read += len(bytes(gdb.selected_inferior().read_memory(start, size)))
                start += size
        print("READ %d %.3f" % (read, time.monotonic() - begun))


Clock()
RawRead()
