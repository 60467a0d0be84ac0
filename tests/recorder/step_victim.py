"""A victim for single_step.c: a peak that is behind it, then objects that come, grow and go."""
import ctypes
import os
import signal
import sys

print(hex(ctypes.addressof(ctypes.c_char.in_dll(ctypes.CDLL(None), "memtrace_image"))), flush=True)


def grow(n):
    kept = [bytes(60 + n), {n: str(n)}]
    kept.append(bytearray(2000))
    kept[2] += b"x" * 100
    return kept


for n in range(300):  # all that the loop below needs is known and specialised
    grow(n)
del n
sys.stdout.flush()
hill = bytearray(10_000_000)
del hill
os.kill(os.getpid(), signal.SIGSTOP)
for n in range(1_000_000):
    grow(n)
