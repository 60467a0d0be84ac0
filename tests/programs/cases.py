"""The program that tests/cases.py asks about: something for each command to find, and all of it known to the byte.

Says as one line of JSON what it knows of itself, then `ready`. At each byte that it is sent it allocates one block more and
says `ready` again. It waits in a read that allocates nothing, so that every debugger finds the same memory."""

import functools
import gc
import json
import os
import sys
import threading

gc.disable()

ROWS = 1200
ORDERS = 300
SERVICES = 30
KEPT = 10  # of the services, otherwise than by their cache

held = []
grown = [None] * 4


def hold(index):
    """A function in a file of its own name, and a block of its own size: a row of its own."""
    namespace = {}
    source = "def function_%d():\n    return bytearray(%d)\n" % (index, 1000 + 16 * index)
    exec(compile(source, "file_%d.py" % index, "exec"), namespace)
    held.append(namespace["function_%d" % index]())


class Order:
    __slots__ = ("number", "text")

    def __init__(self, number):
        self.number = number
        self.text = "order number %d" % number


class Bus:
    def __init__(self):
        self.orders = [Order(number) for number in range(1, ORDERS + 1)]


class Service:
    __slots__ = ("__weakref__",)

    @functools.lru_cache(maxsize=None)
    def price(self, number):
        return number + 1000.5


@functools.lru_cache(maxsize=50)
def square(number):
    return [number * number]


def make_payload():
    return bytearray(2_000_000)


def grow(number):
    grown[number] = bytearray(1_000_000 + number)


def handle(event, pipe):
    started.set()
    os.read(pipe, 1)


def say(text):
    """Without the buffers of sys.stdout, which come and go."""
    os.write(1, text.encode() + b"\n")


def wait(payload, worker):
    number = 0
    say("ready")
    while os.read(0, 1):
        number += 1
        grow(number)
        say("ready")


for index in range(ROWS):
    hold(index)
gone = bytearray(5_000_000)  # the peak is not what is alive now
del gone

BUS = Bus()
CONTEXT = {"sinks": [[Order(-1), Order(-2)]]}
services = [Service() for _ in range(SERVICES)]
for service in services:
    service.price(1)
    service.price(1)
kept_services = services[:KEPT]
del services, service
for number in range(80):
    square(number % 60 + 0.5)

started = threading.Event()
reading, writing = os.pipe()
worker = threading.Thread(target=handle, args=(CONTEXT["sinks"][0][1], reading), name="Worker-7", daemon=True)
worker.start()
started.wait()

payload = make_payload()


def counters(function):
    told = function.cache_info()
    maxsize = -1 if told.maxsize is None else told.maxsize
    return {"entries": told.currsize, "hits": told.hits, "misses": told.misses, "maxsize": maxsize}


def is_made_anew(number):
    """Not one of the small integers that CPython keeps."""
    return int(str(number)) is not int(str(number))


def size_of(*objects):
    return {"objects": len(objects), "bytes": sum(map(sys.getsizeof, objects))}


numbers, texts = [order.number for order in BUS.orders], [order.text for order in BUS.orders]
FACTS = {
    "version": "%d.%d.%d" % sys.version_info[:3],
    "orders": ORDERS + 2,
    "order_bytes": sys.getsizeof(BUS.orders[0]),
    "services": SERVICES,
    "services_only_cached": SERVICES - KEPT,
    "caches": {"price": counters(Service.price), "square": counters(square)},
    "rows": ROWS,
    "row_bytes": [sys.getsizeof(block) for block in held],
    "bytearray_overhead": sys.getsizeof(payload) - len(payload),
    "payload": hex(id(payload)),
    "payload_bytes": sys.getsizeof(payload),
    "first": hex(id(BUS.orders[0])),
    "list": hex(id(BUS.orders)),
    "deep": size_of(BUS.orders, *BUS.orders, *texts, *numbers),
    "exclusive": size_of(BUS.orders, *BUS.orders, *texts, *filter(is_made_anew, numbers)),
    "event": hex(id(CONTEXT["sinks"][0][1])),
    "threads": threading.active_count(),
}
del numbers, texts
say(json.dumps(FACTS))
wait(payload, worker)
