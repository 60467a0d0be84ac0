"""1,200 functions, each in a file of its own name, each holding a block of its own size: at least 1,200 rows of an
answer.

Says `ready` and then sleeps in a read that allocates nothing, so that every debugger finds the same memory.
"""

import os

COUNT = 1200
held = []


def hold(index):
    namespace = {}
    source = "def function_%d():\n    return bytearray(%d)\n" % (index, 1000 + 16 * index)
    exec(compile(source, "file_%d.py" % index, "exec"), namespace)
    held.append(namespace["function_%d" % index]())


for index in range(COUNT):
    hold(index)
gone = bytearray(5_000_000)  # the peak is not what is alive now
del gone
os.write(1, b"ready\n")
os.read(0, 1)
