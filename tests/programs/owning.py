"""Structures that share parts. Says of each, as JSON, its address, what it leads to (objects and bytes), and waits; at each
line of input it lets go of the structure of that number, collects garbage, and says how many nodes and bytes that has freed.
"""

import gc
import json
import random
import sys
import weakref

STRUCTURES = 12
NODES = 60


class Node:
    __slots__ = ("first", "second", "__weakref__")


class Whole(int):
    __slots__ = ()


def reachable(start):
    """Everything but types and modules."""
    seen, stack = {id(start): start}, [start]
    while stack:
        thing = stack.pop()
        # Of dicts whose keys are all strings the collector does not see these.
        for found in [*gc.get_referents(thing), *(thing if isinstance(thing, dict) else ())]:
            if id(found) not in seen and not isinstance(found, (type, type(sys))):
                seen[id(found)] = found
                stack.append(found)
    return list(seen.values())


def graph(random, shared):
    """Nodes that refer to each other, in cycles too; some to nodes of other structures."""
    nodes = [Node() for _ in range(NODES)]
    for number, node in enumerate(nodes):
        node.first = nodes[number // 2]
        node.second = random.choice(shared if shared and random.random() < 0.1 else nodes[1:])
    for number in range(NODES // 2):
        nodes[number].first, nodes[number].second = nodes[2 * number + 1], nodes[2 * number]
    # Nothing leads back to the first node, which would keep it alive.
    nodes[0].second = None
    shared += random.sample(nodes[1:], 3)
    return nodes[0]


def mixed():
    """Containers of all kinds, with a part that stands in several of them."""
    part = ["a part of all", 10**30, 2.25, 0, -1, False, True, -(2**64), Whole(0), Whole(2**40)]
    return [part, (part, {"key %d" % number: [number + 0.5, part] for number in range(20)}), {b"in", b"a set"}]


def describe(thing):
    leads_to = reachable(thing)
    return {"address": id(thing), "objects": len(leads_to), "bytes": sum(map(sys.getsizeof, leads_to))}


chosen, shared = random.Random(1), []
structures = [graph(chosen, shared) for _ in range(STRUCTURES)]
del shared
others = [mixed()]
nodes = [weakref.ref(node) for node in gc.get_objects() if type(node) is Node]
size = sys.getsizeof(structures[0])
print(json.dumps([describe(thing) for thing in structures + others]), flush=True)
print("ready", flush=True)
for line in sys.stdin:
    before = sum(node() is not None for node in nodes)
    structures[int(line)] = None
    gc.collect()
    freed = before - sum(node() is not None for node in nodes)
    print(json.dumps({"objects": freed, "bytes": freed * size}), flush=True)
