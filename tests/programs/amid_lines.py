"""Lines that are under way when somebody begins to look, and code that has never run before."""

import json
import time

SOURCE = "def made(size):\n    data = bytes(size)\n    return [data]\n"


def rest():
    return None


def deepest():
    held = bytes(200_000); rest(); more = bytes(3_000)
    return held, more


def middle():
    held = deepest(); more = bytes(7_000)
    last = bytes(5_000)
    return held, more, last


def fresh(code):
    space = {}
    exec(code, space)
    made = space["made"]
    first = made(1_000)
    second = made(1_000)
    return first, second


def main():
    codes = [compile(SOURCE, f"made{number}.py", "exec") for number in range(1_000)]
    lines = {function.__name__: function.__code__.co_firstlineno for function in (deepest, middle, fresh)}
    middle()
    print(json.dumps(lines), flush=True)
    for code in codes:
        time.sleep(0.01)
        middle()
        fresh(code)
        del code
    time.sleep(1000)


main()
