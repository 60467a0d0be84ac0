"""Runs pieces of one workload, of some milliseconds each, without a stop and with one of each kind, all in turn, and
writes the CPU seconds of each piece: `stop_not_hit.py WORKLOAD SECONDS stop_slot.so OUT`.

In one process nothing differs but the stop: not the stack, not the heap, not the interpreter's caches. Each piece does
the same, and begins with nothing to collect.
"""
import ctypes
import gc
import importlib
import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "workloads"))

NEVER = 100 << 30  # bytes, or an address where no block is
KINDS = {"none": 0, "heap": 1, "alloc": 2, "free": 4}  # enum mt_stop_kind
WARM_UP = 5


def small_objects(workload):
    workload.BATCH = 1000
    workload.main(1)


def deep_stack(workload):
    for n in range(8):
        workload.down(workload.DEPTH, n)
        workload.down_c(workload.DEPTH, n)


def lru_leak(workload):
    workload.burst(workload.Series, 80, 0)
    workload.Series.value.cache_clear()


PIECES = {
    "w1_small_objects": small_objects,
    "w2_json_str": lambda workload: workload.main(1),
    "w3_deep_stack": deep_stack,
    "w5_lru_leak": lru_leak,
    "w6_threads": lambda workload: workload.main(1),
    "w7_compile_stdlib": lambda workload: workload.main(0.005),
}


def measure(piece, seconds, slot):
    columns = {kind: [] for kind in KINDS}
    begun = time.process_time()
    turn = list(KINDS)
    while time.process_time() - begun < seconds:
        for kind in turn:
            slot.set_stop(KINDS[kind], NEVER)
            gc.collect()
            start = time.process_time()
            piece()
            columns[kind].append(time.process_time() - start)
            if slot.is_waiting(KINDS[kind]) != 0:
                sys.exit(f"the stop {kind} was met, or never looked at")
        turn.reverse()
    return columns


def main():
    name, seconds, library, out = sys.argv[1:]
    slot = ctypes.CDLL(library)
    slot.set_stop.argtypes = [ctypes.c_uint32, ctypes.c_uint64]
    if slot.find_image() != 0:
        sys.exit("this process is not recorded")
    sys.setrecursionlimit(5000)
    workload = importlib.import_module(name)
    for _ in range(WARM_UP):
        PIECES[name](workload)
    gc.collect()
    gc.freeze()
    columns = measure(lambda: PIECES[name](workload), float(seconds), slot)
    pathlib.Path(out).write_text(json.dumps(columns))


if __name__ == "__main__":
    main()
