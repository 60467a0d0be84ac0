"""The same in Python: objects, deep and many stacks, functions that exec makes, threads. Prints a result, then its pid,
and waits."""

import json
import os
import sys
import threading


def tree(depth):
    return [tree(depth - 1), tree(depth - 1), "%d" % depth] if depth else [0.5]


def deep(depth):
    return deep(depth - 1) + [depth] if depth else [0]


def functions(count):
    total = 0
    for i in range(count):
        space = {}
        exec(compile(f"def f{i}(x):\n    return [x, {i}]\n", f"file-{i}.py", "exec"), space)
        total += sum(space[f"f{i}"](1))
    return total


results = {}


def work(name):
    results[name] = (len(json.dumps(tree(9))), sum(deep(300)), functions(300))


kept = [json.loads(json.dumps({"k": [str(i), i * 0.5]})) for i in range(8000)]
threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
work("main")
print(sorted(map(str, results.items())), len(kept), sum(len(k["k"][0]) for k in kept))
print(os.getpid(), flush=True)
sys.exit(0 if sys.stdin.readline() == "\n" else 1)
