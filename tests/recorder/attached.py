"""A program that runs already when the recorder comes: attached.py RECORDER

Its threads allocate all the time. Says what was allocated on which line once the recorder was attached, waits for a
line, attaches it anew at the other level, and waits again.
"""
import ctypes
import importlib
import json
import os
import sys
import threading

POINTER, SIZE_T = ctypes.c_void_p, ctypes.c_size_t
over = False


def churn():
    while not over:
        things = [[str(i), {"key": (i, i * 1000.5)}, bytearray(i * 7)] for i in range(500)]
        things.sort(key=lambda thing: thing[0])


def next_line():
    return sys._getframe(1).f_lineno + 1


def libc():
    """Looked up anew: ctypes holds on to the addresses that it has."""
    found = ctypes.CDLL(None)
    found.malloc.restype, found.malloc.argtypes = POINTER, (SIZE_T,)
    found.realloc.restype, found.realloc.argtypes = POINTER, (POINTER, SIZE_T)
    return found


def tell(**more):
    print(json.dumps({"pid": os.getpid(), **more}), flush=True)
    sys.stdin.readline()


threads = [threading.Thread(target=churn, daemon=True) for _ in range(4)]
for thread in threads:
    thread.start()
old_block = libc().malloc(3000)
old_array = bytearray(3000)
recorder = ctypes.CDLL(sys.argv[1])
results = [recorder.memtrace_attach(2)]

# No line makes a tuple of arguments, or a number: the other threads may have emptied the free list, and then it stays there.
kept = [None] * 100
byte, size, once, more, last = b"x", 2000, (12345,), (old_block, 54321), (778,)
objects_line = next_line() + 1
for i in range(100):
    kept[i] = byte * size
heap = libc()
heap.malloc.restype = heap.realloc.restype = None  # an int of Python's would stay in a free list
malloc_line = next_line() + 1
for i in range(7):
    heap.malloc(*once)
realloc_line = next_line()
heap.realloc(*more)
import_line = next_line()
importlib.import_module("decimal")

over = True
for thread in threads:
    thread.join()
lines = {"objects": objects_line, "malloc": malloc_line, "realloc": realloc_line, "imported": import_line}
tell(older=id(old_array), results=results, **lines)

results = [recorder.memtrace_detach(), recorder.memtrace_detach()]
heap.malloc(777)
results.append(recorder.memtrace_attach(1))
malloc_line = next_line()
heap.malloc(*last)
unseen = [bytes(100) for _ in range(1000)]
tell(malloc=malloc_line, results=results)
