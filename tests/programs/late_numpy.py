"""Imports numpy only when a line comes, then makes a known array, and waits for another line."""

import sys

print("ready", flush=True)
sys.stdin.readline()
import numpy  # noqa: E402

array = numpy.ones(10_000_000)
print("allocated", flush=True)
sys.stdin.readline()
del array
print("freed", flush=True)
sys.stdin.readline()
