#!/usr/bin/env python3
"""What recording costs: workloads run bare, at level heap and at level objects.

In every round each configuration of a workload runs once, in turn; a ratio is taken to the same round's bare run, and
the median over the rounds is what counts.  The clock is the workload's own CPU time (user and system, start-up of the
interpreter excluded).  Events, and the recorder's bytes for each block that was alive at the peak, come from two more
runs under `memtrace run`, which are not timed.

    tests/bench/run.py                        all workloads, on each interpreter that there is
    tests/bench/run.py -w w1,w3 -n 3 --scale 0.2 --python /usr/bin/python3
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from interpreters import INTERPRETERS, version_of  # noqa: E402
from surroundings import BUILD, COMMAND, clean_environment, recorded_environment  # noqa: E402

WORKLOADS = HERE / "workloads"
LEVELS = ("heap", "objects")
LIMIT = 600  # seconds, of one run

# What `--scale 1` multiplies: about one CPU second bare.
SCALES = {
    "w0_calls": 0.5,
    "w1_small_objects": 0.3,
    "w2_json_str": 0.25,
    "w3_deep_stack": 0.2,
    "w4_big_arrays": 0.25,
    "w5_lru_leak": 0.25,
    "w6_threads": 0.25,
    "w7_compile_stdlib": 0.2,
    "w8_pure_calls": 0.5,
}
# The median over these is the headline.
ALLOCATING = ("w1_small_objects", "w2_json_str", "w3_deep_stack", "w5_lru_leak", "w6_threads", "w7_compile_stdlib")


def run(command, environment):
    result = subprocess.run(
        [str(word) for word in command],
        env=dict(environment, PYTHONDONTWRITEBYTECODE="1", PYTHONHASHSEED="0"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=LIMIT,
    )
    if result.returncode != 0:
        said = result.stderr.decode(errors="replace")[-2000:]
        sys.exit(f"{' '.join(map(str, command))}: status {result.returncode}\n{said}")


def cpu_seconds(python, workload, scale, level, folder):
    stats = folder / "stats.json"
    environment = clean_environment() if level is None else recorded_environment(level)
    environment["MT_STATS"] = str(stats)
    run([python, WORKLOADS / f"{workload}.py", scale], environment)
    return json.loads(stats.read_text())["work_cpu"]


def report(python, workload, scale, level, command, folder):
    out = folder / "report.json"
    words = [COMMAND, "run", "--level", level, "--report", command, "--json", "--out", out, "--"]
    run([*words, python, WORKLOADS / f"{workload}.py", scale], clean_environment())
    return json.loads(out.read_text())


def measure(python, workload, scale, rounds, folder):
    seconds = {level: [] for level in (None, *LEVELS)}
    for _ in range(rounds):
        for level, column in seconds.items():
            column.append(cpu_seconds(python, workload, scale, level, folder))
    row = {"workload": workload, "scale": scale, "bare_cpu_seconds": seconds[None], "levels": {}}
    for level in LEVELS:
        ratios = [recorded / bare for recorded, bare in zip(seconds[level], seconds[None])]
        extra = statistics.median(recorded - bare for recorded, bare in zip(seconds[level], seconds[None]))
        status = report(python, workload, scale, level, "status", folder)
        peak = report(python, workload, scale, level, "peak --limit 1", folder)
        row["levels"][level] = {
            "cpu_seconds": seconds[level],
            "ratio": statistics.median(ratios),
            "ratio_least": min(ratios),
            "ratio_most": max(ratios),
            "events": status["events"],
            "dropped": status["dropped"],
            "nanoseconds_per_event": extra / status["events"] * 1e9,
            "recorder_bytes": status["recorder_bytes"],
            "peak_bytes": peak["peak_bytes"],
            "peak_blocks": peak["peak_blocks"],
            # The recorder gives nothing back to the kernel, so what it has at the end is no less than at the peak.
            "recorder_bytes_per_block": status["recorder_bytes"] / max(1, peak["peak_blocks"]),
        }
    return row


def has_numpy(python):
    command = [python, "-c", "import numpy"]
    return subprocess.run(command, env=clean_environment(), stderr=subprocess.DEVNULL, timeout=LIMIT).returncode == 0


def show_head(python, version):
    print(f"CPython {version}  {python}")
    print(
        f"{'':18}{'bare':>7}   {'CPU time over bare':^26}  "
        f"{'':>12} {'ns an':>7} {'':>8} {'recorder':>10} {'bytes a':>8}\n"
        f"{'workload':18}{'CPU s':>7}   {'level':8}{'median':>6}{'least':>6}{'most':>6}  "
        f"{'events':>12} {'event':>7} {'dropped':>8} {'bytes':>10} {'block':>8}"
    )


def show(row):
    for level in LEVELS:
        cost = row["levels"][level]
        first = level == LEVELS[0]
        name = row["workload"] if first else ""
        bare = f"{statistics.median(row['bare_cpu_seconds']):.2f}" if first else ""
        nanoseconds = cost["nanoseconds_per_event"]
        per_event = f"{nanoseconds:.0f}" if cost["events"] >= 100_000 else "-"  # too few to tell from noise
        print(
            f"{name:18}{bare:>7}   {level:8}{cost['ratio']:6.2f}{cost['ratio_least']:6.2f}{cost['ratio_most']:6.2f}  "
            f"{cost['events']:12,} {per_event:>7} {cost['dropped']:8,} "
            f"{cost['recorder_bytes']:10,} {cost['recorder_bytes_per_block']:8.1f}",
            flush=True,
        )


def show_headline(rows):
    for level in LEVELS:
        extra = [row["levels"][level]["ratio"] - 1 for row in rows if row["workload"] in ALLOCATING]
        if extra:
            median = statistics.median(extra)
            print(f"{level}: extra CPU time, median of {len(extra)} allocating workloads: {median:+.2f}")
    print()


def bench(python, names, scale, rounds):
    version = ".".join(map(str, version_of(python)))
    show_head(python, version)
    rows = []
    numpy = has_numpy(python)
    for name in names:
        if name == "w4_big_arrays" and not numpy:
            print(f"{name:18}not run: this interpreter has no numpy")
            continue
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measure(python, name, SCALES[name] * scale, rounds, pathlib.Path(folder)))
        show(rows[-1])
    show_headline(rows)
    return {"python": version, "rounds": rounds, "workloads": rows}


def chosen_workloads(text):
    chosen = [name for name in SCALES if any(name.startswith(part) for part in text.split(","))]
    if not chosen:
        raise argparse.ArgumentTypeError(f"no workload is called {text!r}: there are {', '.join(SCALES)}")
    return chosen


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = "names or beginnings of names, by commas"
    parser.add_argument("-w", "--workloads", type=chosen_workloads, default=list(SCALES), help=names)
    parser.add_argument("-n", "--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="times each workload's own scale")
    parser.add_argument("--python", action="append", help="an interpreter; may be given again")
    arguments = parser.parse_args()
    pythons = arguments.python or [INTERPRETERS[name] for name in ("3.13.0", "system") if INTERPRETERS[name]]
    results = [bench(python, arguments.workloads, arguments.scale, arguments.rounds) for python in pythons]
    folder = BUILD / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps({"interpreters": results}, indent=1) + "\n")
    print(f"written to {os.path.relpath(folder / 'results.json')}")


if __name__ == "__main__":
    main()
