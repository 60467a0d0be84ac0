"""big_heap.py N: a heap of N objects that the collector watches, in equal parts instances, lists, tuples and dicts, with
the strings and numbers that they hold; then waits."""

import gc
import sys


class Node:
    def __init__(self, number, before):
        self.number = number
        self.before = before


def build(count):
    gc.disable()
    keep, before = [], None
    for number in range(count // 4):
        before = Node(number, before if number % 16 else None)
        keep.append([before, number, "text"])
        keep.append((before, keep[-1]))
        keep.append({"node": before, "number": number})
    return keep


if __name__ == "__main__":
    kept = build(int(float(sys.argv[1])))
    print("ready", flush=True)
    sys.stdin.readline()
