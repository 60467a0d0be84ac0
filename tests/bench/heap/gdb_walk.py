"""What a gdb script can do on its own: walks the collector's lists of the core that gdb has open and counts types.

Run inside gdb with WALK_MODE=raw (32 bytes an object, types by address) or value (a gdb.Value an object, as most scripts
do). Needs the interpreter's debug information for `value`; prints one JSON line.
"""
import collections
import json
import os
import struct
import time

import gdb


def heads():
    """Addresses of the heads of the three generations, by the pointer that leads to the first (3.9 to 3.13)."""
    gc = int(os.environ["WALK_GC"], 0)
    return [gc + 24 * generation for generation in range(3)]


def walk_raw(read, head):
    word = struct.Struct("QQQQ")
    node = struct.unpack("Q", read(head, 8))[0] & ~3
    while node != head:
        following, _, _, kind = word.unpack(read(node, 32))
        yield kind
        node = following & ~3


def walk_value(read, head):
    number = gdb.lookup_type("unsigned long").pointer()
    node = int(gdb.Value(head).cast(number).dereference()) & ~3
    while node != head:
        item = gdb.Value(node).cast(number)
        yield int(item[3])
        node = int(item[0]) & ~3


def main():
    read = gdb.selected_inferior().read_memory
    walk = walk_raw if os.environ["WALK_MODE"] == "raw" else walk_value
    begun = time.monotonic()
    counts = collections.Counter(kind for head in heads() for kind in walk(read, head))
    seconds = time.monotonic() - begun
    print(json.dumps({"seconds": seconds, "objects": sum(counts.values()), "types": len(counts)}))


main()
