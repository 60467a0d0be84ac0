"""Objects that are held in many ways: by names, containers, caches, closures, generators, frames of two threads, weakly.
Says `ready` and waits. With an argument: that many more Markers."""

import collections
import functools
import sys
import threading
import weakref


class Node:
    def __init__(self, value):
        self.value = value


class Slots:
    __slots__ = ("strong", "weak")


class Marker:
    pass


@functools.lru_cache(None)
def cached(value):
    return Node(value)


def closure(kept):
    def inner():
        return kept

    return inner


def generate(kept):
    while True:
        yield kept


def wait_with(kept, event):
    event.wait()


table = {f"key {number}": Node(number) for number in range(500)}
rows = [[number, Node(number), (number,)] for number in range(500)]
wanted = Node("wanted")
table["wanted"] = wanted
rows.append(wanted)
slots = Slots()
slots.strong, slots.weak = wanted, weakref.ref(wanted)
queue = collections.deque([wanted])
function = closure(wanted)
generator = generate(wanted)
next(generator)
cached(wanted)
markers = [Marker() for _ in range(int(sys.argv[1]) if sys.argv[1:] else 0)]


def main(here):
    mine = {"mine": here}
    event = threading.Event()
    threading.Thread(target=wait_with, args=(mine["mine"], event), daemon=True).start()
    print("ready", flush=True)
    sys.stdin.read()


main(wanted)
