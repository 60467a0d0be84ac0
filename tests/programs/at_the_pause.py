"""Runs a program that stops itself by SIGINT (examples/holding.py --pause), with fewer bytes than it says, up to that stop.
There it says that it is ready and waits for input, inside the function that raised the signal.

    at_the_pause.py PROGRAM BYTES [ARGUMENT...]
"""

import signal
import sys


def wait(number, frame):
    print("ready", flush=True)
    sys.stdin.readline()


path, size = sys.argv[1:3]
sys.argv[1:] = sys.argv[3:]
signal.signal(signal.SIGINT, wait)
with open(path) as file:
    code = compile(file.read().replace("100_000_000", size), path, "exec")
exec(code, {"__name__": "__main__"})
