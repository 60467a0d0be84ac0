"""Runs one scenario inside the recorded interpreter: scenarios.py PROBE SCENARIO LEVEL

PROBE is the library made from scenario.c.  Prints two lines of JSON: what the scenario saw, and the recorder's image
after the recording was stopped (the library writes that, so that nothing is allocated in between).
"""
import ctypes
import json
import mmap
import os
import signal
import sys
import threading

MALLOC_KINDS = ("malloc", "valloc", "calloc", "memalign", "posix_memalign", "aligned_alloc")
DOMAINS = ("PyMem_Raw", "PyMem_", "PyObject_")
SIZE = 984


class Step(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64) for name in ("events", "bytes", "blocks", "ignored")]
    _fields_ += [(name, ctypes.c_uint64) for name in ("address", "size")]
    _fields_ += [(name, ctypes.c_uint32) for name in ("allocator", "tid", "is_live", "old_is_live")]

    def as_dict(self):
        return {name: getattr(self, name) for name, _ in self._fields_}


class Operation(ctypes.Structure):
    _fields_ = [("slot", ctypes.c_int32), ("size", ctypes.c_uint32)]


lib = ctypes.PyDLL(sys.argv[1])  # keeps the GIL: nothing of another thread comes between the looks of a step
released = ctypes.CDLL(sys.argv[1])  # lets it go
scenario, level = sys.argv[2], {"heap": 1, "objects": 2}[sys.argv[3]]
POINTER, SIZE_T, BYTES = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p
STEP = ctypes.POINTER(Step)
lib.scenario_allocate.restype, lib.scenario_allocate.argtypes = POINTER, (BYTES, SIZE_T, STEP)
lib.scenario_reallocate.restype, lib.scenario_reallocate.argtypes = POINTER, (BYTES, POINTER, SIZE_T, STEP)
lib.scenario_free.argtypes = (BYTES, POINTER, SIZE_T, STEP)
lib.scenario_count.restype, lib.scenario_count.argtypes = ctypes.c_uint64, (ctypes.c_uint64, ctypes.c_uint32)
lib.scenario_events.restype = ctypes.c_uint64
CALLBACK = ctypes.CFUNCTYPE(None)

seen = {}
steps = []


def allocate(how, size=SIZE):
    step = Step()
    address = lib.scenario_allocate(how.encode(), size, step)
    steps.append({"call": how, **step.as_dict()})
    return address


def reallocate(how, old, size=SIZE):
    step = Step()
    address = lib.scenario_reallocate(how.encode(), old, size, step)
    steps.append({"call": how, **step.as_dict()})
    return address


def release(how, address, size=SIZE):
    step = Step()
    if lib.scenario_free(how.encode(), address, size, step) == 0:
        steps.append({"call": how, **step.as_dict()})
        return True
    return False


def sequence(*operations):
    """(slot, size) allocates, (slot, 0) frees; recorded from start to stop with nothing else in between."""
    table = (Operation * len(operations))(*operations)
    seen["state"] = lib.scenario_sequence(level, table, len(operations))


def started(body):
    """Runs `body` recorded."""
    lib.scenario_prepare()
    seen["state_started"] = lib.scenario_start(level)
    body()
    seen["state"] = lib.scenario_stop()


def malloc_kinds():
    for how in MALLOC_KINDS:
        release("free", allocate(how))


def pvalloc():
    release("free", allocate("pvalloc"))


def realloc():
    release("free", reallocate("realloc", allocate("malloc", 1)))


def sized_free():
    address = allocate("malloc")
    if not release("free_sized", address):
        release("free", address)
        seen["free_sized"] = "missing"
        return
    release("free_aligned_sized", allocate("memalign"))


def domains():
    for domain in DOMAINS:
        release(domain + "Free", allocate(domain + "Malloc"))
        release(domain + "Free", allocate(domain + "Calloc"))
        release(domain + "Free", reallocate(domain + "Realloc", allocate(domain + "Malloc", 1)))


def third():
    step = Step()
    seen["line"], seen["address"] = sys._getframe().f_lineno, lib.scenario_allocate(b"PyObject_Malloc", SIZE, step)


def second():
    third()


def first():
    second()


def deep_stack():
    first()


def python_mmap():
    counts = [lib.scenario_count(2048, 10)]
    mapping = mmap.mmap(-1, 2048)
    counts.append(lib.scenario_count(2048, 10))
    mapping.close()
    counts.append(lib.scenario_count(2048, 10))
    seen["counts"] = counts


def foreign_thread():
    tids = []

    def work():
        tids.append(threading.get_native_id())
        release("free", allocate("malloc"))

    seen["error"] = released.scenario_in_thread(CALLBACK(work))
    seen["tids"] = tids


class Valloc:
    """valloc and free with one ctypes call each, so that their stacks end where they are called."""

    def __init__(self):
        libc = ctypes.PyDLL(None)
        self.valloc, self.free = libc.valloc, libc.free
        self.valloc.restype, self.valloc.argtypes = POINTER, (SIZE_T,)
        self.free.restype, self.free.argtypes = None, (POINTER,)


heap = Valloc()


def two_on_one_line():
    return heap.valloc(1024), heap.valloc(1024)


def two_on_two_lines():
    first_block = heap.valloc(1024)
    second_block = heap.valloc(2048)
    return first_block, second_block


def recurse(n):
    block = heap.valloc(n * 1024)
    if n % 2:
        heap.free(block)
    if n > 1:
        recurse(n - 1)
    if n % 2 == 0:
        heap.free(block)


def many_objects():
    """Well over 100,000 objects, each an event when it is born and when it dies."""
    events = [lib.scenario_events()]
    kept = [object() for _ in range(120_000)]
    events.append(lib.scenario_events())
    seen["counts"] = [lib.scenario_count(object.__sizeof__(kept[0]), 22)]
    del kept
    events.append(lib.scenario_events())
    seen["counts"].append(lib.scenario_count(16, 22))
    seen["events_at"] = events


def vallocs_until_killed():
    for _ in range(50):
        heap.valloc(1024)
    os.kill(os.getpid(), signal.SIGKILL)


RECURSION = []
for depth in range(10, 0, -1):
    RECURSION += [(depth, depth * 1024)] + ([(depth, 0)] if depth % 2 else [])
RECURSION += [(depth, 0) for depth in (2, 4, 6, 8, 10)]

SEQUENCES = {
    "nothing": (),
    "twice_1024": ((0, 1024), (0, 0), (0, 1024), (0, 0)),
    "small_then_large": ((0, 1024), (0, 0), (0, 2048), (0, 0)),
    "large_then_small": ((0, 2048), (0, 0), (0, 1024), (0, 0)),
    "large_left": ((0, 1024), (0, 0), (1, 2048)),
    "recursion_exact": RECURSION,
}
BODIES = {
    body.__name__: body
    for body in (malloc_kinds, pvalloc, realloc, sized_free, domains, deep_stack, python_mmap, foreign_thread,
                 two_on_one_line, two_on_two_lines, many_objects)
}  # fmt: skip
BODIES["recursion"] = lambda: recurse(10)

if scenario in SEQUENCES:
    sequence(*SEQUENCES[scenario])
elif scenario == "exit_at_once":
    lib.scenario_prepare()
    lib.scenario_start_and_exit(level)
elif scenario == "vallocs_until_killed":
    vallocs_until_killed()
else:
    started(BODIES[scenario])
print(json.dumps({"seen": seen, "steps": steps}), flush=True)
lib.scenario_dump(1)
