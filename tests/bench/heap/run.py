#!/usr/bin/env python3
"""How fast a large heap is read: a core of a process with N objects, asked by memtrace, by gdb scripts, and from inside.

    tests/bench/heap/run.py                   10,000,000 objects that the collector watches
    tests/bench/heap/run.py -n 1e6 --rounds 1 --peers none

Each round starts memtrace anew: its first answer opens the core and finds everything, its first who-holds finds all
references. Medians count. Its memory is what it holds besides the file's cached pages (RssAnon at its highest, seen after
each answer), for each object. The peers run once: gdb scripts over the same core (CPython 3.11, the system's, alone), and
gc and objgraph inside a process with the same heap.
"""
import argparse
import json
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent)]

from surroundings import BUILD, COMMAND, bare_environment, gcore, running  # noqa: E402

PYTHON = "/usr/bin/python3"
LIMIT = 1800  # seconds, of any one peer


def ask(core, questions):
    """[(seconds, answer)] of one memtrace process, and the most memory of its own that it was seen to have."""
    command = [str(COMMAND), "--core", str(core)]
    begun, answers, peak = time.monotonic(), [], 0
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        for question in questions:
            process.stdin.write(f"{question}\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())
            now = time.monotonic()
            answers.append((now - begun, answer))
            begun = now
            status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
            peak = max(peak, int(re.search(r"RssAnon:\s+(\d+)", status).group(1)) * 1024)
        process.stdin.close()
    return answers, peak


def measure(core, rounds):
    ((_, found),), _ = ask(core, ["instances --limit 2 --json Node"])
    first, second = (row["address"] for row in found["rows"])
    seconds = {"types": [], "first who-holds": [], "next who-holds": []}
    memory = []
    for _ in range(rounds):
        questions = ["types --json", f"who-holds --json {first}", f"who-holds --json {second}"]
        answers, peak = ask(core, questions)
        objects = answers[0][1]["count"]
        assert all(answer["rows"] for _, answer in answers)
        for column, (taken, _) in zip(seconds.values(), answers):
            column.append(taken)
        memory.append(peak / objects)
    medians = {f"memtrace {name}, s": statistics.median(column) for name, column in seconds.items()}
    return {"objects": objects, **medians, "memtrace, bytes an object": statistics.median(memory)}


def walk(core, mode):
    command = ["gdb", "-nx", "-batch", "-iex", "set debuginfod enabled off", PYTHON, core]
    result = subprocess.run(
        [str(word) for word in (*command, "-ex", f"source {HERE / 'gdb_walk.py'}")],
        env=bare_environment(WALK_MODE=mode),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        timeout=LIMIT,
    )
    return json.loads(result.stdout.splitlines()[-1])["seconds"]


def inside(count):
    command = [PYTHON, str(HERE / "in_process.py"), str(count)]
    result = subprocess.run(command, env=bare_environment(), stdout=subprocess.PIPE, text=True, timeout=LIMIT, check=True)
    return {f"inside: {name}, s": seconds for name, seconds in json.loads(result.stdout).items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", "--objects", type=lambda text: int(float(text)), default=10_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", choices=("none", "raw", "all"), default="all", help="all: also the slow gdb script")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        core = pathlib.Path(folder) / "core"
        with running([PYTHON, HERE / "big_heap.py", arguments.objects], bare_environment()) as process:
            gcore(process.pid, core)
        results = measure(core, arguments.rounds)
        for mode in {"none": (), "raw": ("raw",), "all": ("raw", "value")}[arguments.peers]:
            results[f"gdb script, {mode}: types, s"] = walk(core, mode)
    if arguments.peers != "none":
        results.update(inside(arguments.objects))
    for name, value in results.items():
        print(f"{name:38} {value:>12,.2f}" if isinstance(value, float) else f"{name:38} {value:>12,}")
    out = BUILD / "bench" / "heap.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
