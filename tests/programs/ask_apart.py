"""Inside gdb: asks each command of MEMTRACE_ASKED (a file) in a session of its own, and tells how many bytes were read."""

import json
import os
import sys

adapter = sys.modules["memtrace_gdb"]
read_by_gdb = adapter.host.read
read = 0


def count(address, size):
    global read
    data = read_by_gdb(address, size)
    read += len(data)
    return data


adapter.host.read = count
with open(os.environ["MEMTRACE_ASKED"]) as asked:
    for line in asked:
        read = 0
        answered, text = adapter.door.Door(adapter.library, adapter.host).run(line.strip())
        print(json.dumps({"read": read, "answer": json.loads(text)}))
