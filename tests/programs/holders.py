"""Holds one instance of Held in each of many ways, writes what the holders are called as a JSON array, and waits for input."""

import collections
import functools
import json
import sys


class Held:
    pass


class Slotted:
    __slots__ = ("slot",)


class Owner:
    kept = Held()  # class attribute

    def __init__(self):
        self.attribute = Held()
        self.deep = {"list": [Held()]}


class Cached:
    @functools.lru_cache(maxsize=None)
    def unbounded(self, number):
        return number

    @functools.lru_cache(maxsize=1000)
    def bounded(self, number):
        return [number]


class Many:
    pass


class Bus:
    def __init__(self):
        self.subscribers = [Many() for _ in range(50)]


def default(argument=Held(), *, keyword=Held()):
    pass


def closure():
    cell = Held()

    def inner():
        return cell

    return inner


def generator():
    suspended = Held()
    yield
    print(suspended)


def make_answers(number):
    cached = Cached()
    for i in range(number):
        cached.unbounded(i)
        cached.bounded(i)


@functools.lru_cache(maxsize=None)
def answer():
    return Held()


GLOBAL = Held()
OWNER = Owner()
SLOTTED = Slotted()
SLOTTED.slot = Held()
LIST = [Held()]
SET = {Held()}
KEYS = {Held(): None}
QUEUE = collections.deque([Held()])
INNER = closure()
GENERATOR = generator()
next(GENERATOR)
PARTIAL = functools.partial(print, Held())
BUS = Bus()
NAMES = [
    "class attribute `kept` of Owner",
    "__main__.OWNER.attribute",
    "__main__.OWNER.deep[*][*]",
    "default[0] of default()",
    "kwdefault keyword of default()",
    "cell cell of closure.<locals>.inner()",
    "local `suspended` of generator generator()",
    "a value in the cache of answer",
    "global `GLOBAL` of module __main__",
    "__main__.SLOTTED.slot",
    "__main__.LIST[*]",
    "element of __main__.SET",
    "key of __main__.KEYS",
    "__main__.QUEUE[*]",
    "args[*] of __main__.PARTIAL",
    "local `local` of work()",
    "local `local_list[*]` of work()",
]


def work():
    local = Held()
    local_list = [Held()]
    few = [Many(), Many()]
    make_answers(100)
    answer()
    print(json.dumps(NAMES), flush=True)
    sys.stdin.readline()
    return local, local_list, few


work()
