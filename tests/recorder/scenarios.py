"""Runs one scenario inside the recorded interpreter: scenarios.py PROBE SCENARIO LEVEL

PROBE is the library made from scenario.c.  Prints two lines of JSON: what the scenario saw, and the recorder's image
after the recording was stopped (the library writes that, so that nothing is allocated in between).
"""
import ctypes
import json
import mmap
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time

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
lib.scenario_vallocs.argtypes = (SIZE_T, SIZE_T, STEP, STEP)
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


def vallocs(count, size):
    """So many blocks live together, then none: what the books say of both halves."""
    halves = Step(), Step()
    lib.scenario_vallocs(count, size, *halves)
    return [half.as_dict() for half in halves]


def stack_here():
    """The interpreter's own word on the stack of its caller, as the image has it: [function, file, line], innermost
    first. To be called on the very line of an allocation."""
    stack, frame = [], sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        stack.append([getattr(code, "co_qualname", code.co_name), code.co_filename, frame.f_lineno])
        frame = frame.f_back
    return stack


def image():
    """The recorder's books of this moment; reading them is not recorded as long as nothing else runs."""
    file = os.memfd_create("image")
    lib.scenario_dump(file)
    with open(file, "rb") as text:
        text.seek(0)
        return json.load(text)


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
        self.valloc, self.free = lib.scenario_valloc, lib.scenario_give_back
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


def recursion():
    recurse(10)  # what the interpreter itself needs for it is there now: the second time only the blocks move the peak
    started(lambda: recurse(10))


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


def leaks_of_one_function():
    def leak():
        return heap.valloc(1024)

    for _ in range(10):
        leak()


def older_blocks():
    to_free, to_move = heap.valloc(1024), heap.valloc(2048)

    def free_and_move():
        release("free", to_free, 1024)
        release("free", reallocate("realloc", to_move, 4096), 4096)

    started(free_and_move)


def is_asleep(task):
    try:
        with open(f"/proc/self/task/{task}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "S"
    except OSError:
        return True  # it has ended


def wait_until_others_sleep():
    """For good: one that waits for the GIL has got it in between."""
    quiet = 0
    while quiet < 5:
        time.sleep(0.01)
        others = set(os.listdir("/proc/self/task")) - {str(threading.get_native_id())}
        quiet = quiet + 1 if all(map(is_asleep, others)) else 0


def two_threads():
    def twice(earlier):
        if earlier is not None:
            earlier.join()
        wait_until_others_sleep()
        allocate("posix_memalign", 2048)
        allocate("posix_memalign", 2048)

    first = threading.Thread(target=twice, args=(None,))
    second = threading.Thread(target=twice, args=(first,))
    first.start()
    second.start()
    second.join()


def lines_of_allocation():
    """The lines after the allocation run too, in every frame, before anybody looks."""

    def leaf():
        seen["address"], seen["stack"] = heap.valloc(SIZE), stack_here()
        seen["after"] = 1

    def middle():
        leaf()
        seen["after"] += 1

    middle()
    seen["after"] += 1


def chains():
    """Two call chains, twice each, and once from a line of its own."""

    def leaf():
        return heap.valloc(SIZE)

    def through():
        return leaf()

    direct, indirect = [], []
    for _ in range(2):
        direct.append(leaf())
        indirect.append(through())
    seen["addresses"] = direct, indirect, [leaf()]


def two_sessions(body):
    """Records `body` twice: (1) and (2); the image of the first session goes with what was seen."""
    lib.scenario_prepare()
    lib.scenario_start(level)
    body(1)
    lib.scenario_stop()
    seen["first_image"] = image()
    lib.scenario_prepare()
    seen["state_started"] = lib.scenario_start(level)
    body(2)
    seen["state"] = lib.scenario_stop()


seen_stacks = seen["stacks"] = []


def remember():
    address, stack = heap.valloc(SIZE), stack_here()
    seen_stacks.append([address, stack])


def restart_with_another_caller():
    def first_caller():
        remember()

    def second_caller():
        remember()

    two_sessions(lambda session: first_caller() if session == 1 else second_caller())


class Worker:
    """A thread that is older than the recording, and does what it is told."""

    def __init__(self, work):
        self.work, self.turn, self.done = work, threading.Semaphore(0), threading.Semaphore(0)
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        for _ in iter(self.turn.acquire, None):
            self.work()
            self.done.release()

    def once(self):
        self.turn.release()
        self.done.acquire()


def older_thread():
    worker = Worker(remember)
    worker.once()  # deep inside already, and this one is not recorded
    del seen_stacks[:]
    started(worker.once)


def thread_of_two_sessions():
    """One thread, that stands in another function in each session."""
    turn, done = threading.Semaphore(0), threading.Semaphore(0)

    def work():
        turn.acquire()
        remember()
        done.release()

    def in_first_session():
        work()

    def in_second_session():
        work()

    def both():
        in_first_session()
        in_second_session()

    threading.Thread(target=both, daemon=True).start()

    def let_it_work(session):
        turn.release()
        done.acquire()

    two_sessions(let_it_work)


def both_sides_of_the_gil():
    meeting = (ctypes.c_uint32 * 2)()

    def lets_the_gil_go():
        seen["stack"] = stack_here(); released.scenario_on_both_sides_of_the_gil(meeting)  # fmt: skip

    thread = threading.Thread(target=lets_the_gil_go)
    thread.start()
    while not meeting[0]:
        time.sleep(0.001)

    def go_on():
        meeting[1] = 1
        thread.join()

    started(go_on)


def crew():
    """100 threads of C, 100 blocks each."""
    events = (ctypes.c_uint64 * 3)()
    file = os.memfd_create("image")
    seen["error"] = lib.scenario_crew(SIZE_T(2048), file, events)
    with open(file, "rb") as text:
        text.seek(0)
        seen["image"] = json.load(text)
    seen["events_at"] = list(events)


def python_in_foreign_thread():
    def work():
        seen["address"], seen["stack"] = heap.valloc(1234), stack_here()

    seen["error"] = released.scenario_in_thread(CALLBACK(work))


def child_vallocs(count):
    return {"pid": os.getpid(), "image_pid": lib.scenario_pid(), "halves": vallocs(count, 1234)}


def fork_pool():
    folder = tempfile.mkdtemp()
    os.chdir(folder)
    mine = allocate("valloc", 1234)
    with multiprocessing.get_context("fork").Pool(3) as pool:
        seen["children"] = pool.map(child_vallocs, [5037] * 3, 1)
        pool.close()
        pool.join()
    release("free", mine, 1234)
    seen["left"] = lib.scenario_count(1234, 8)
    seen["files"] = os.listdir(folder)
    os.chdir("/")
    os.rmdir(folder)


def other_programs():
    """The same work in three programs that this one starts: seen there, if we are to follow."""
    command = [sys.executable, __file__, sys.argv[1], "other_program", sys.argv[3]]
    seen["children"] = [json.loads(subprocess.check_output(command)) for _ in range(3)]


def other_program():
    variables = [name for name in os.environ if name.startswith("MEMTRACE_")]
    told = {"watched": lib.scenario_is_watched(), "variables": variables}
    if told["watched"]:
        lib.scenario_prepare()
        lib.scenario_start(level)
        told.update(child_vallocs(5037))
    print(json.dumps(told))


def raw_callocs_of_children():
    seen["children"] = []
    for _ in range(10):
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            allocate("PyMem_RawCalloc", 1234)
            os.write(write_end, json.dumps(steps).encode())
            os._exit(0)
        os.close(write_end)
        with open(read_end, "rb") as pipe:
            seen["children"].append(json.load(pipe))
        os.waitpid(child, 0)


def hot_loop():
    """Long enough for any specialising interpreter and any JIT to have its way with it."""

    def leaf(i):
        return heap.valloc(SIZE), stack_here()

    def loop():
        for i in range(5_000):
            if i % 2:
                address, stack = leaf(i)
            else:
                address, stack = leaf(i)
            if i < 4_990:
                heap.free(address)
            else:
                seen_stacks.append([address, stack])

    loop()


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
    "leak_between_frees": ((0, 1024), (0, 0), (1, 2048), (0, 1024), (0, 0), (0, 1024), (0, 0)),
}
BODIES = {
    body.__name__: body
    for body in (malloc_kinds, pvalloc, realloc, sized_free, domains, deep_stack, python_mmap, foreign_thread,
                 two_on_one_line, two_on_two_lines, many_objects, leaks_of_one_function, two_threads,
                 lines_of_allocation, chains, crew, python_in_foreign_thread, fork_pool, other_programs,
                 raw_callocs_of_children, hot_loop)
}  # fmt: skip
# These see to the start and the stop themselves.
SESSIONS = {
    body.__name__: body
    for body in (recursion, older_blocks, restart_with_another_caller, older_thread, thread_of_two_sessions,
                 both_sides_of_the_gil)
}  # fmt: skip


def map_at_depth(depth):
    return map_at_depth(depth - 1) if depth > 1 else mmap.mmap(-1, 2048)


if scenario in SEQUENCES:
    sequence(*SEQUENCES[scenario])
elif scenario == "exit_at_once":
    lib.scenario_prepare()
    lib.scenario_start_and_exit(level)
elif scenario == "vallocs_until_killed":
    vallocs_until_killed()
elif scenario == "other_program":
    other_program()
    sys.exit()
elif scenario in SESSIONS:
    SESSIONS[scenario]()
elif scenario == "maps_of_the_root_frame":
    lib.scenario_prepare()
    seen["state_started"] = lib.scenario_start(level)
    seen["line"], first_map = sys._getframe().f_lineno, mmap.mmap(-1, 2048)
    second_map = mmap.mmap(-1, 2048)
    seen["state"] = lib.scenario_stop()
elif scenario == "maps_at_two_depths":
    lib.scenario_prepare()
    seen["state_started"] = lib.scenario_start(level)
    deep_map = map_at_depth(20)
    flat_map = mmap.mmap(-1, 2048)
    seen["state"] = lib.scenario_stop()
else:
    started(BODIES[scenario])
print(json.dumps({"seen": seen, "steps": steps}), flush=True)
lib.scenario_dump(1)
