"""A function whose lines do to memory what is known beforehand, called again and again."""

import json
import sys
import time


def fill(size):
    return bytearray(size)


def work():
    first = bytes(200_000)
    second = fill(300_000)
    del first
    for size in (100_000, 150_000):
        third = bytearray(size)
    return second, third


def factorial(n, data):
    data = data + bytes(1000)
    if n > 1:
        data = factorial(n - 1, data)
    return data


def fail():
    kept = bytearray(70_000)
    raise ValueError(len(kept))


def guarded():
    try:
        fail()
    except ValueError:
        pass
    return None


def numbers():
    for n in (10, 100_000):
        yield bytearray(n)
    return


def main():
    line = work.__code__.co_firstlineno
    kept = {
        line + 1: sys.getsizeof(bytes(200_000)),
        line + 2: sys.getsizeof(bytearray(300_000)),
        line + 3: -sys.getsizeof(bytes(200_000)),
        line + 5: sys.getsizeof(bytearray(150_000)),
    }
    work(), guarded(), factorial(2, b""), list(numbers())
    print(json.dumps({"kept": kept, "recursion": factorial.__code__.co_firstlineno}), flush=True)
    while True:
        work()
        factorial(5, b"")
        guarded()
        for data in numbers():
            len(data)
        time.sleep(0.005)


main()
