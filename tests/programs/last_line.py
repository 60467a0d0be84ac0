"""Ends when a file is there: by its last line, or within a line."""

import os
import sys
import time

go, exits = sys.argv[1], len(sys.argv) > 2
print("ready", flush=True)
while not os.path.exists(go):
    time.sleep(0.01)
if exits:
    os._exit(0)
last = bytes(1000)
