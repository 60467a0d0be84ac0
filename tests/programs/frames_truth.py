"""frames_truth.py FILE

Tells in FILE, in its own words, what its threads are doing, and what some names mean; then waits. JSON: for each thread
its id, its name and its frames, innermost first, with the addresses of what their variables hold.

Threads, callbacks out of C, generators, coroutines, closures, class bodies, exec, deep recursion: all at once.
"""

import collections
import functools
import json
import sys
import threading
import types

HOLD = threading.Lock()
HOLD.acquire()
ready = threading.Semaphore(0)


def own_name(code):
    return getattr(code, "co_qualname", code.co_name)


def wait():
    ready.release()
    HOLD.acquire()
    HOLD.release()


class Worker:
    attribute = "of the class"

    def __init__(self):
        self.items = [1, {"name": "inner"}]

    def method(self, argument, *rest, key="word", **more):
        cell = argument

        def inner(x):
            local = [cell, x]
            wait()
            return local

        return [value for value in map(inner, rest)]


def generator(a):
    b = a + "!"
    for unused in range(2):
        wait()
        yield b


async def coroutine(text):
    kept = {"text": text}
    wait()
    return kept


def drive(text):
    running = coroutine(text)
    try:
        running.send(None)
    except StopIteration:
        pass


def deep(depth):
    snow = "\u2603" * depth
    if depth:
        return deep(depth - 1) + len(snow)
    wait()
    return 0


def partly(a, b):
    wait()
    return a, b


def in_class():
    class Body:
        first = 1
        wait()


def in_exec():
    exec(compile("made = [1, 2]\n\nwait()\n", "<made up>", "exec"), {"wait": wait}, {"own": 1})


def in_handler():
    try:
        raise ValueError("seen")
    except ValueError as error:
        wait()
        return error


JOBS = {
    "method": lambda: Worker().method("an argument", 2, 3, extra=4),
    "generator": lambda: list(generator("text")),
    "coroutine": lambda: drive("awaited"),
    "deep": lambda: deep(60),
    "sorted": lambda: sorted([3, 1], key=lambda value: wait()),
    "partial": functools.partial(partly, 1, b=2),
    "class": in_class,
    "exec": in_exec,
    "handler": in_handler,
}


class Slotted:
    __slots__ = ("first", "second")

    def __init__(self):
        self.first = ["in a slot"]
        self.second = {"deep": (0, ["the end"])}


class Base:
    inherited = ["of the base"]

    @property
    def made(self):
        return []


class Derived(Base):
    def __init__(self):
        self.own = Slotted()
        self._made = []


class Word(str):
    """A subclass, whose characters lie elsewhere."""


DERIVED = Derived()
TUPLE = ([1], [2], [3])
DEQUE = collections.deque([[number] for number in range(200)])
KEYS = {
    "word": ["word"],
    "two words": ["two words"],
    "snow\u2603": ["not ASCII"],
    "it's": ["quoted"],
    7: ["seven"],
    -7: ["minus seven"],
    2**70: ["large"],
    None: ["none"],
    (1, "a"): ["tuple"],
    Word("subclass"): ["subclass"],
}
ORDERED = collections.OrderedDict([("a", ["ordered"])])
DEFAULT = collections.defaultdict(list, {"b": ["default"]})
PROXY = types.MappingProxyType({"c": ["proxied"]})
EXPRESSIONS = {
    "DERIVED.own.first[0]": DERIVED.own.first[0],
    "DERIVED.own.second.deep[1][-1]": DERIVED.own.second["deep"][1][-1],
    "DERIVED.own.second['deep'][1]": DERIVED.own.second["deep"][1],
    "DERIVED.inherited": DERIVED.inherited,
    "DERIVED.__class__.inherited": DERIVED.inherited,
    "Derived.inherited": DERIVED.inherited,
    "Derived.__init__": Derived.__init__,
    "Derived.__init__.__code__": Derived.__init__.__code__,
    "deep.__globals__": globals(),
    "TUPLE[0]": TUPLE[0],
    "TUPLE[-1]": TUPLE[-1],
    "DEQUE[0]": DEQUE[0],
    "DEQUE[100]": DEQUE[100],
    "DEQUE[-1]": DEQUE[-1],
    "KEYS.word": KEYS["word"],
    "KEYS[word]": KEYS["word"],
    "KEYS['two words']": KEYS["two words"],
    'KEYS[ "two words" ]': KEYS["two words"],
    "KEYS['snow\u2603']": KEYS["snow\u2603"],
    'KEYS["it\'s"]': KEYS["it's"],
    "KEYS['it\\'s']": KEYS["it's"],
    "KEYS[7]": KEYS[7],
    "KEYS[-7]": KEYS[-7],
    "KEYS[None]": KEYS[None],
    "KEYS[(1, 'a')]": KEYS[(1, "a")],
    "KEYS.subclass": KEYS["subclass"],
    "ORDERED.a": ORDERED["a"],
    "DEFAULT['b'][0]": DEFAULT["b"][0],
    "PROXY['c']": PROXY["c"],
    "sys.path[-1]": sys.path[-1],
    "json.decoder.JSONDecoder": json.decoder.JSONDecoder,
    "len": len,
    "HOLD": HOLD,
}


def truth_of(frame):
    told = []
    while frame is not None:
        code = frame.f_code
        local = {name: id(value) for name, value in frame.f_locals.items()}
        told.append([own_name(code), code.co_filename, frame.f_lineno, local])
        frame = frame.f_back
    return told


def tell():
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    tids = {thread.ident: getattr(thread, "native_id", None) for thread in threading.enumerate()}
    told = []
    expressions = {text: id(value) for text, value in EXPRESSIONS.items()}
    for ident, frame in sys._current_frames().items():
        stack = truth_of(frame)
        if ident == threading.get_ident():
            stack = stack[1:]
        told.append({"ident": ident, "tid": tids[ident], "name": names[ident], "frames": stack})
    with open(sys.argv[1], "w") as file:
        json.dump({"threads": told, "expressions": expressions}, file)


def main():
    for name, job in JOBS.items():
        threading.Thread(target=job, name=name, daemon=True).start()
        ready.acquire()
    mark = object()
    # On one line, as it is this line that is told.
    tell(), print("ready", flush=True), sys.stdin.readline()  # fmt: skip
    return mark


main()
