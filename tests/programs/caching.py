"""Caches of every kind. Says as JSON what their counters say, and waits. At each line of input it empties the cache of that
name ("": none), collects garbage, and says so.

    caching.py [--python] SIZE     --python: functools as it is where its C parts are missing
"""

import gc
import json
import os
import sys

if "--python" in sys.argv:
    sys.modules["_functools"] = None
    sys.modules.pop("functools", None)

import functools
import re

SIZE = int(sys.argv[-1])
gc.disable()


INSTANCES = 30
REGISTERED = 10_000


class Service:
    """A cache on a method; every third of its instances has another holder."""

    @functools.lru_cache(maxsize=None)
    def price(self, number):
        return number + 1000.5


class Twice:
    """Two caches on methods: neither alone keeps the instances."""

    @functools.lru_cache(maxsize=100)
    def first(self, number):
        return "first %d" % number

    @functools.lru_cache(maxsize=100)
    def second(self, number):
        return "second %d" % number


class Report:
    def __init__(self, number):
        self.number = number

    @functools.cached_property
    def text(self):
        return "text of %08d " % self.number * 20


class Special(Report):
    pass


class Bound:
    """A cache for each instance, around a bound method."""

    def __init__(self):
        self.double = functools.lru_cache(maxsize=None)(self.double)

    def double(self, number):
        return 2.5 * number


@functools.lru_cache(maxsize=None)
def square(number, *, negative=False):
    return [number * number + 0.25]


@functools.lru_cache(maxsize=None)
def shares(number):
    """Its values are those of another cache: neither alone keeps them."""
    return square(number)


@functools.lru_cache(maxsize=None)
def nests(number):
    """Its values have caches of their own."""
    bound = Bound()
    bound.double(number)
    return bound


@functools.lru_cache(maxsize=50)
def bounded(number, text):
    return (number, text * 10)


registry = {}  # big by its entries


class Registry:
    pages = {}  # big by its bytes


def fill():
    services = [Service() for _ in range(INSTANCES)]
    for service in services:
        for number in range(SIZE):
            service.price(number + 0.5)
    kept = services[::3]
    for _ in range(INSTANCES):
        twice = Twice()
        twice.first(1)
        twice.second(2)
    reports = [Report(number) for number in range(SIZE)] + [Special(number) for number in range(SIZE)]
    for report in reports[::2]:
        report.text
    for number in range(SIZE):
        square(number + 0.5)
        if number % 2:
            shares(number + 0.5)
        nests(number + 0.5)
        bounded(number, "text %d" % number)
    for number in range(REGISTERED):
        registry["order %d" % number] = number + 0.5
    for number in range(4):
        Registry.pages[number] = bytes(1_000_000)
    waiting = [Bound() for _ in range(7)]
    for bound in waiting:
        bound.double(3.5)
    for pattern in ("a", "b+", "[c-d]"):
        re.search(pattern, "abc")
    return kept, reports


CLEAR = {
    "price": Service.price.cache_clear,
    "first": Twice.first.cache_clear,
    "square": square.cache_clear,
    "shares": shares.cache_clear,
    "nests": nests.cache_clear,
    "bounded": bounded.cache_clear,
    "registry": registry.clear,
    "pages": Registry.pages.clear,
}


def text():
    # To delete it would give the instance another __dict__.
    for report in reports[::2]:
        report.text = None


CLEAR["text"] = text
CLEAR[""] = lambda: None


def info(function):
    told = function.cache_info()
    return {"hits": told.hits, "misses": told.misses, "maxsize": told.maxsize, "entries": told.currsize}


def say(text):
    """Without the buffers of sys.stdout, which come and go."""
    os.write(1, text.encode() + b"\n")


kept, reports = fill()
FUNCTIONS = {
    "price": Service.price,
    "first": Twice.first,
    "square": square,
    "shares": shares,
    "nests": nests,
    "bounded": bounded,
}
say(json.dumps({name: info(function) for name, function in FUNCTIONS.items()}))
say("ready")
while True:
    name = os.read(0, 100)
    if not name:
        break
    CLEAR[name.decode().strip()]()
    gc.collect()
    say("cleared")
