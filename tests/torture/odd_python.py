"""Python programs that recorders trip over: odd_python.py PROBE SCENARIO

PROBE is the library made from tests/recorder/scenario.c. A scenario makes blocks of sizes that nothing else has; then one
line of JSON says what it saw, and a second one is the recorder's image.
"""
import ctypes
import json
import os
import sys

lib = ctypes.PyDLL(sys.argv[1])
libc = ctypes.PyDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)
libc.free.restype, libc.free.argtypes = None, (ctypes.c_void_p,)
malloc = libc.malloc
seen = {}


def generators():
    def numbers():
        malloc(70_001)
        yield
        malloc(70_003)
        yield

    def resumes_first(generator):
        next(generator)

    def resumes_second(generator):
        next(generator)

    suspended = numbers()
    resumes_first(suspended)
    malloc(70_002)
    resumes_second(suspended)
    return suspended


def profile_function():
    """A program that sets, replaces and clears the profile and the trace function."""

    def called(*arguments):
        pass

    def deep(size):
        malloc(size)

    sys.setprofile(called)
    deep(70_011)
    sys.settrace(called)
    sys.setprofile(None)
    deep(70_012)
    sys.settrace(None)
    deep(70_013)


def traced_by_tracemalloc():
    """tracemalloc wraps the allocators over us, and takes itself off again."""
    import tracemalloc

    kept = [bytes(71_001)]  # 71_001 and a header of sys.getsizeof(b"")
    tracemalloc.start(5)
    kept.append(bytes(71_002))
    lost = bytes(71_003)
    also_lost = bytes(71_004)
    del lost
    seen["traced"] = tracemalloc.get_traced_memory()[0] > 71_000
    tracemalloc.stop()
    del also_lost
    kept.append(bytes(71_005))
    seen["header"] = sys.getsizeof(b"")
    return kept


def greenlets():
    import greenlet

    def deep_a(size):
        malloc(size)

    def outer_a():
        deep_a(72_001)
        other.switch()
        deep_a(72_003)
        other.switch()

    def outer_b():
        malloc(72_002)
        one.switch()
        malloc(72_004)

    one, other = greenlet.greenlet(outer_a), greenlet.greenlet(outer_b)
    one.switch()
    malloc(72_005)


SUBINTERPRETER = """
def inner(size):
    return bytes(size)

kept = inner(73_001)
lost = inner(73_002)
del lost
"""


def subinterpreters():
    try:
        import _interpreters as interpreters  # 3.13
    except ImportError:
        import _xxsubinterpreters as interpreters
    made = interpreters.create()
    (getattr(interpreters, "exec", None) or interpreters.run_string)(made, SUBINTERPRETER)
    seen["header"] = sys.getsizeof(b"")
    ended = interpreters.create()
    (getattr(interpreters, "exec", None) or interpreters.run_string)(ended, SUBINTERPRETER.replace("73_00", "73_01"))
    interpreters.destroy(ended)  # and with it 73_011
    return made  # or it would end here


def deep_recursion():
    def recurse(depth):
        return recurse(depth - 1) if depth else malloc(75_001)

    sys.setrecursionlimit(3_000)
    recurse(1_500)


def exceptions():
    """Frames that die by an exception, half-way through; then the same stack again."""

    def fails(size):
        malloc(size)
        raise ValueError

    for size in (76_001, 76_002):
        try:
            fails(size)
        except ValueError:
            malloc(size + 10)


def coroutines():
    async def inner():
        malloc(77_001)

    async def outer():
        await inner()
        malloc(77_002)

    try:
        outer().send(None)
    except StopIteration:
        pass


SCENARIOS = {
    body.__name__: body
    for body in (generators, profile_function, traced_by_tracemalloc, greenlets, subinterpreters, deep_recursion, exceptions,
                 coroutines)
}  # fmt: skip

result = SCENARIOS[sys.argv[2]]()
print(json.dumps(seen), flush=True)
lib.scenario_dump(1)
sys.stdout.flush()
os._exit(0)
