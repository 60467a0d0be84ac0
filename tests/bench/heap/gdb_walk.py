"""What a gdb script can do on its own: walks the collector's lists of the core that gdb has open and counts types.

Run inside gdb with WALK_MODE=raw (32 bytes an object, types by address) or value (a gdb.Value an object, as most scripts
do). It knows CPython 3.11 alone, and prints one JSON line.
"""
import collections
import json
import os
import struct
import time

import gdb

# CPython 3.11: _PyRuntime.interpreters.head, PyInterpreterState.gc.generations[0], sizeof(struct gc_generation)
INTERPRETERS, GENERATIONS, GENERATION = 40, 648 + 24, 24


def word(read, address):
    return struct.unpack("Q", read(address, 8))[0]


def heads(read):
    """Addresses of the heads of the three generations."""
    interpreter = word(read, int(gdb.parse_and_eval("(unsigned long)&_PyRuntime")) + INTERPRETERS)
    return [interpreter + GENERATIONS + GENERATION * generation for generation in range(3)]


def walk_raw(read, head):
    words = struct.Struct("QQQQ")
    node = word(read, head) & ~3
    while node != head:
        following, _, _, kind = words.unpack(read(node, words.size))
        yield kind
        node = following & ~3


def walk_value(read, head):
    pointer = gdb.lookup_type("unsigned long").pointer()
    node = word(read, head) & ~3
    while node != head:
        item = gdb.Value(node).cast(pointer)
        yield int(item[3])
        node = int(item[0]) & ~3


def main():
    read = gdb.selected_inferior().read_memory
    walk = walk_raw if os.environ["WALK_MODE"] == "raw" else walk_value
    begun = time.monotonic()
    counts = collections.Counter(kind for head in heads(read) for kind in walk(read, head))
    print(json.dumps({"seconds": time.monotonic() - begun, "objects": sum(counts.values()), "types": len(counts)}))


main()
