"""Waits for the next object of many types by way of new_objects.c, each time among objects that look much like it: of
other types in the memory of dead ones, tuples and lists of the type, and what finalizers make while garbage is collected.
Its argument: the library, a seed, the number of rounds. Prints how many objects it has waited for."""

import collections
import ctypes
import decimal
import gc
import random
import sys
import threading

VERSION = sys.version_info[:2]


class Plain:
    def __init__(self, value=0):
        self.value = value


class Twin:
    def __init__(self, value=0):
        self.value = value


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value=0):
        self.value = value


class Bare:
    __slots__ = ()

    def __init__(self, value=0):
        pass


class BareTwin:
    __slots__ = ()

    def __init__(self, value=0):
        pass


class Mapping(dict):
    def __init__(self, value=0):
        self["value"] = value


class Number(int):
    pass


class BareNumber(int):
    __slots__ = ()


class Text(str):
    def __new__(cls, value=0):
        return super().__new__(cls, "text %d" % value)


class Row(tuple):
    def __new__(cls, value=0):
        return super().__new__(cls, (cls, value))


class Error(Exception):
    pass


class Of(Plain):
    """A subclass is another type."""


class Finalized:
    """Garbage, when it is collected: what it makes comes between a block's birth and its object."""

    def __init__(self):
        self.me = self

    def __del__(self):
        for made in (Twin, BareTwin, Of):
            made(len([made, made]))


TYPES = [Plain, Slotted, Bare, Mapping, Number, BareNumber, Text, Row, Error, decimal.Decimal, collections.deque]
MAKE = {collections.deque: lambda value: collections.deque([value])}


def header(cls):
    """Bytes in front of an instance (pycore_object.h: _PyType_PreHeaderSize)."""
    managed = {9: 0, 10: 0, 11: 1 << 4}.get(VERSION[1], 1 << 3 | 1 << 4)
    return 16 * bool(cls.__flags__ & 1 << 14) + 16 * bool(cls.__flags__ & managed)


def decoy(cls, chance):
    """None of them is one of `cls`."""
    choice = chance.randrange(8)
    if choice == 0:
        return (cls, chance.random())
    if choice == 1:
        return [cls, cls]
    if choice == 2:
        return bytes(chance.randrange(120))
    if choice == 3:
        return {cls: cls}
    if choice == 4:
        return Finalized() and None  # it is garbage at once
    if choice == 5:
        return BareTwin()
    if choice == 6:
        return Of()
    return Twin((cls, cls, cls))


def main():
    library = ctypes.CDLL(sys.argv[1])
    library.new_objects_seen.restype = ctypes.c_uint64
    library.new_objects_wait.argtypes = [ctypes.c_uint64, ctypes.c_int64]
    chance, rounds = random.Random(int(sys.argv[2])), int(sys.argv[3])
    assert library.new_objects_begin() == 0
    is_over = threading.Event()

    def disturb():
        chance = random.Random(1)
        while not is_over.is_set():
            [decoy(Plain, chance) for _ in range(10)]

    other = threading.Thread(target=disturb, daemon=True)
    other.start()
    for number in range(rounds):
        cls = chance.choice(TYPES)
        make = MAKE.get(cls, cls)
        gc.set_threshold(chance.choice([1, 5, 700]))
        dead = [make(i) for i in range(chance.randrange(20))]
        kept = [decoy(cls, chance) for _ in range(chance.randrange(10))]
        del dead
        library.new_objects_wait(id(cls), header(cls))
        kept += [decoy(cls, chance) for _ in range(chance.randrange(30))]
        told_before = library.new_objects_told()
        assert told_before == 0, (cls, number)
        if chance.random() < 0.5:
            Finalized()
        one = make(number)
        kept.append(object())  # an event
        two = make(number)
        kept += [decoy(cls, chance) for _ in range(chance.randrange(10))]
        assert type(one) is type(two) is cls
        seen = library.new_objects_seen()
        assert library.new_objects_told() == 1 and seen == id(one), (cls, number, hex(seen), hex(id(one)), hex(id(two)))
        del kept, one, two
    library.new_objects_wait(0, 0)
    is_over.set()
    other.join()
    assert library.new_objects_strange() == 0
    print(rounds)


main()
