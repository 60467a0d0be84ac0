"""Holds objects in known ways, writes their addresses as JSON, and waits: {name: address}. Then it evaluates expressions as
ways.py does."""
import gc
import json
import sys
import threading

import ways


class Sink:
    def __init__(self, events):
        self.events = events


class Context:
    def __init__(self):
        self.sinks = [Sink([1, 2, {"the": "event"}])]


class Guarded:
    """Attributes that `x.name` does not show."""

    def __init__(self):
        vars(self)["hidden"] = ["behind a property"]
        vars(self)["no name"] = ["under a name with a blank"]

    @property
    def hidden(self):
        return None


class Silent:
    def __init__(self):
        self.said = ["nothing"]

    def __getattribute__(self, name):
        raise AttributeError(name)


class Odd(dict):
    def __getitem__(self, key):
        return None

    def values(self):
        return []


class Node:
    pass


def chain(length):
    first = node = Node()
    for _ in range(length):
        node.next = Node()
        node = node.next
    return first, node


def deep(level, found):
    """The objects of the innermost call are held by it alone, `level` calls deep."""
    local = ["in a call", level]
    if level > 0:
        return deep(level - 1, found)
    found["local"] = id(local)
    work(found)
    return local


def in_thread(found, ready, stay):
    of_thread = ["of the thread"]
    found["thread"] = id(of_thread)
    ready.set()
    stay.wait()
    return of_thread


async def coroutine(argument):
    return argument


def close(found):
    """A coroutine that was closed before it began shows no frame, and some versions keep what is in it."""
    argument = ["of a closed coroutine"]
    closed = coroutine(argument)
    found["closed frame"] = id(closed.cr_frame)
    closed.close()
    if closed.cr_frame is None and any(one is argument for one in gc.get_referents(closed)):
        found["closed"] = id(argument)
    else:
        del found["closed frame"]
    return closed


def waste():
    """A cycle that nothing holds."""
    garbage = [["garbage"]]
    garbage[0].append(garbage)
    return id(garbage)


CTX = Context()
GUARDED = Guarded()
SILENT = Silent()
ODD = Odd(odd=["in a dict that lies"])
KEYS = {("a", 1, None): ["tuple"], b"bytes\x00": ["bytes"], -5: ["int"], 2.5: ["float"], Node(): ["no literal"],
        "quote's \n \u202e \udc80 \U0001f40d": ["str"], "x" * 1000: ["long"]}  # fmt: skip
TWICE = ALSO = ["by two names"]
FIRST, LAST = chain(5)
LONG = chain(1000)[0]


def far():
    node = LONG
    while hasattr(node, "next"):
        node = node.next
    return id(node)


def work(found):
    print(json.dumps(found), flush=True)
    for line in sys.stdin:
        print(json.dumps([ways.evaluate(*one) for one in json.loads(line)]), flush=True)


def main():
    gc.disable()
    found = {"event": id(CTX.sinks[0].events[2]), "hidden": id(vars(GUARDED)["hidden"])}
    found["no name"] = id(vars(GUARDED)["no name"])
    found["said"] = id(object.__getattribute__(SILENT, "said"))
    found["odd"] = id(dict.__getitem__(ODD, "odd"))
    found.update(("key %d" % i, id(value)) for i, value in enumerate(KEYS.values()))
    found.update({"twice": id(TWICE), "last": id(LAST), "far": far(), "garbage": waste(), "class": id(Sink)})
    global CLOSED
    CLOSED = close(found)
    ready, stay = threading.Event(), threading.Event()
    threading.Thread(target=in_thread, args=(found, ready, stay), daemon=True, name="other").start()
    ready.wait()
    deep(5, found)


if __name__ == "__main__":
    main()
