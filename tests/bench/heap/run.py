#!/usr/bin/env python3
"""How fast a large heap is read: a core of a process with N objects, asked by memtrace, by a gdb script, and from inside.

    tests/bench/heap/run.py                   10,000,000 objects that the collector watches
    tests/bench/heap/run.py -n 1e6 --rounds 3 --python /usr/bin/python3

Every round runs each of the askers once; medians count. The first answer of a memtrace process is the one that a user
waits for: it opens the core, and finds and names everything. Its memory is what it holds besides the mapped core file
(RssAnon at its peak), for each object.
"""
import argparse
import json
import os
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

LIMIT = 1800  # seconds, of any one asker


def ask(lines, core):
    """Seconds from the start of a memtrace process to each of its answers, the answers, and its peak of own memory."""
    process = subprocess.Popen(
        [str(COMMAND), "--core", str(core)],
        env=bare_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    begun, answers, peak = time.monotonic(), [], 0
    for line in lines:
        process.stdin.write(f"{line} --json\n")
        process.stdin.flush()
        answers.append((time.monotonic() - begun, json.loads(process.stdout.readline())))
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        peak = max(peak, int(re.search(r"RssAnon:\s+(\d+)", status).group(1)) * 1024)
    process.stdin.close()
    process.wait(LIMIT)
    return [(later - before, answer) for before, (later, answer) in zip([0, *(s for s, _ in answers)], answers)], peak


def walk(core, python, mode, head):
    command = ["gdb", "-nx", "-batch", "-iex", "set debuginfod enabled off", "-c", core, python, "-ex"]
    result = subprocess.run(
        [str(word) for word in (*command, f"source {HERE / 'gdb_walk.py'}")],
        env=bare_environment(WALK_MODE=mode, WALK_GC=hex(head)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        timeout=LIMIT,
    )
    lines = [line for line in result.stdout.splitlines() if line.startswith("{")]
    return json.loads(lines[-1]) if lines else {"error": result.stderr[-500:]}


def inside(python, count):
    command = [python, str(HERE / "in_process.py"), str(count)]
    result = subprocess.run(command, env=bare_environment(), stdout=subprocess.PIPE, text=True, timeout=LIMIT, check=True)
    return json.loads(result.stdout)


def one_round(core, python, count, modes, results):
    (types, answer), (first, held), (second, _) = ask_about(core)[0]
    peak = ask_about.peak
    objects = sum(row["count"] for row in answer["rows"])
    results.setdefault("objects", objects)
    for name, value in (("types", types), ("first who-holds", first), ("next who-holds", second)):
        results.setdefault(name, []).append(value)
    results.setdefault("bytes an object", []).append(peak / objects)
    assert held["rows"], held


def ask_about(core):
    lines = ["types", "who-holds --limit 3 " + ask_about.target, "who-holds --limit 3 " + ask_about.other]
    answers, ask_about.peak = ask(lines, core)
    return answers, ask_about.peak


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", "--objects", type=lambda text: int(float(text)), default=10_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--python", default="/usr/bin/python3")
    parser.add_argument("--peers", choices=("none", "raw", "all"), default="all", help="which gdb walks; none: no peers")
    arguments = parser.parse_args()
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        core = pathlib.Path(folder) / "core"
        with running([arguments.python, HERE / "big_heap.py", arguments.objects], bare_environment()) as process:
            gcore(process.pid, core)
        found, _ = ask(["instances --limit 2 Node"], core)
        ask_about.target, ask_about.other = (row["address"] for row in found[0][1]["rows"])
        for _ in range(arguments.rounds):
            one_round(core, arguments.python, arguments.objects, (), results)
    medians = {k: statistics.median(v) if isinstance(v, list) else v for k, v in results.items()}
    if arguments.peers != "none":
        medians.update(inside(arguments.python, arguments.objects))
    for name, value in medians.items():
        print(f"{name:30} {value:,.2f}" if isinstance(value, float) else f"{name:30} {value:,}")
    out = BUILD / "bench" / "heap.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"runs": results, "medians": medians}, indent=1) + "\n")


if __name__ == "__main__":
    main()
