"""The same for Python: torture.py SEED. What it prints, and its status, depend on the seed alone."""

import gc
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

ACTIONS = 14
choice = random.Random(int(sys.argv[1]))


def numbers(random_numbers, count):
    kept = {}
    for i in range(count):
        kept[random_numbers.randrange(100)] = [str(i), (i, i * 0.5), {"k": bytes(random_numbers.choice((1, 100, 3000, 80_000)))}]
    return sum(len(entry[2]["k"]) for entry in kept.values())


def deep(depth):
    return 1 + deep(depth - 1) if depth else numbers(random.Random(depth), 5)


def made_functions(random_numbers):
    total = 0
    for i in range(50):
        space = {}
        exec(compile(f"def made(x):\n    return [x, {i}]\n", f"made-{random_numbers.randrange(5)}.py", "exec"), space)
        total += sum(space["made"](i))
    return total


def generators(random_numbers):
    def count(limit):
        for i in range(limit):
            yield [i]

    running = [count(20) for _ in range(10)]
    total = 0
    for _ in range(100):
        total += sum(next(random_numbers.choice(running), [0]))
    return total


def cycles(random_numbers):
    for _ in range(200):
        one, other = [], []
        one.append(other)
        other.append(one)
    gc.collect()
    return 0


def profiled(random_numbers):
    calls = []
    sys.setprofile(lambda *arguments: calls.append(1) if len(calls) < 10 else None)
    result = numbers(random_numbers, 20)
    sys.setprofile(None)
    return result + len(calls)


def forked(random_numbers):
    child_numbers = random.Random(random_numbers.randrange(1 << 30))
    child = os.fork()
    if child == 0:
        os._exit(run(child_numbers, 3, SIMPLE) & 63)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed(random_numbers):
    child = os.fork()
    while child == 0:
        numbers(random_numbers, 10)
    time.sleep(random_numbers.random() / 500)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def spawned(random_numbers):
    return len(subprocess.run(["/bin/echo", "x" * random_numbers.randrange(50)], stdout=subprocess.PIPE, check=True).stdout)


def signals(random_numbers):
    """Python's own handlers, at any bytecode."""

    def handler(number, frame):
        numbers(random.Random(1), 3)

    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    result = numbers(random_numbers, 300)
    signal.setitimer(signal.ITIMER_REAL, 0)
    return result


def threads(random_numbers, meanwhile=None):
    results = []
    made = [random.Random(random_numbers.randrange(1 << 30)) for _ in range(4)]
    running = [threading.Thread(target=lambda one=one: results.append(run(one, 2, SIMPLE))) for one in made]
    for thread in running:
        thread.start()
    result = meanwhile(random_numbers) if meanwhile else 0
    for thread in running:
        thread.join()
    return sum(results) + result


def forked_beside_threads(random_numbers):
    return threads(random_numbers, forked)


def run(random_numbers, actions, bodies):
    result = 0
    for _ in range(actions):
        result = (result * 31 + random_numbers.choice(bodies)(random_numbers)) & 0xFFFFFFFF
    return result


SIMPLE = [lambda r: numbers(r, 100), lambda r: deep(r.randrange(400)), made_functions, generators, cycles,
          lambda r: len(json.dumps([r.random() > 2] * 500))]  # fmt: skip
ALL = SIMPLE + [profiled, forked, killed, spawned, signals, threads, forked_beside_threads] * 2

result = run(choice, ACTIONS, ALL)
print(result)
sys.exit(result & 63)
