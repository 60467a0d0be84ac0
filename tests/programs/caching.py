"""Caches of every kind. Says what it has as JSON, waits; at each line of input does what that asks for.

    caching.py [--python] SIZE     --python: functools as it is where its C parts are missing

    clear NAME   empties that cache, and collects; says how many blocks of memory were freed
    free NAME    lets go of that object, likewise; says of how many watched objects nothing is left
"""

import gc
import json
import sys

if "--python" in sys.argv:
    sys.modules["_functools"] = None
    sys.modules.pop("functools", None)

import functools
import re

SIZE = int(sys.argv[-1])
gc.disable()


class Order:
    def __init__(self, number):
        self.number = number


class Service:
    """A cache on a method; every third of its instances has another holder."""

    @functools.lru_cache(maxsize=None)
    def price(self, number):
        return number + 1000.5

    @functools.lru_cache(maxsize=100)
    def name(self, number):
        return "name %d" % number


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
    services = [Service() for _ in range(30)]
    for service in services:
        for number in range(SIZE):
            service.price(number + 0.5)
        service.name(1)
    kept = services[::3]
    reports = [Report(number) for number in range(SIZE)] + [Special(number) for number in range(SIZE)]
    for report in reports[::2]:
        report.text
    for number in range(SIZE):
        square(number + 0.5)
        if number % 2:
            shares(number + 0.5)
        nests(number + 0.5)
        bounded(number, "text %d" % number)
        registry["order %d" % number] = Order(number)
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
    "name": Service.name.cache_clear,
    "square": square.cache_clear,
    "shares": shares.cache_clear,
    "nests": nests.cache_clear,
    "bounded": bounded.cache_clear,
    "registry": registry.clear,
    "pages": Registry.pages.clear,
}


def text():
    for report in reports:
        report.__dict__.pop("text", None)


CLEAR["text"] = text


def info(function):
    told = function.cache_info()
    return {"hits": told.hits, "misses": told.misses, "maxsize": told.maxsize, "entries": told.currsize}


def freed(action):
    before = sys.getallocatedblocks()
    action()
    gc.collect()
    return before - sys.getallocatedblocks()


def say(told):
    print(json.dumps(told), flush=True)


kept, reports = fill()
functions = {"price": Service.price, "name": Service.name, "square": square, "shares": shares, "nests": nests}
functions["bounded"] = bounded
say({name: info(function) for name, function in functions.items()})
print("ready", flush=True)
for line in sys.stdin:
    say(freed(CLEAR[line.strip()]))
