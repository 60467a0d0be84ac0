"""Functions that wait in the middle: generators, one that waits for another, a coroutine."""

import json
import time
import types


def inner():
    yield bytearray(1000)
    yield bytearray(2000)
    return 5


def outer():
    got = yield from inner()
    yield got
    return got


@types.coroutine
def pause():
    yield bytearray(3000)


async def task():
    await pause()
    await pause()
    return 7


def run(coroutine):
    try:
        while True:
            coroutine.send(None)
    except StopIteration as end:
        return end.value


def main():
    functions = (inner, outer, pause, task)
    print(json.dumps({function.__name__: function.__code__.co_firstlineno for function in functions}), flush=True)
    while True:
        assert [len(one) for one in inner()] == [1000, 2000]
        assert list(outer())[-1] == 5
        assert run(task()) == 7
        time.sleep(0.005)


main()
