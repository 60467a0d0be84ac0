#!/usr/bin/env python3
"""What recording costs: workloads run bare, at level heap, at level objects, and under other tools (--peers).

    tests/bench/run.py                        memtrace alone, all workloads, on the interpreters of this machine
    tests/bench/run.py --peers                with the peers, on the interpreters of other Debian suites
    tests/bench/run.py -w w1,w3 -n 3 --scale 0.2 --python /usr/bin/python3
    tests/bench/run.py --only stops           what stops add that are not hit; not what recording costs

How it is measured: measure.py; of stops that are not hit: stops.py. With --peers only root can run it, and it unpacks
Debian packages (tests/matrix).
"""
import argparse
import datetime
import json
import os
import pathlib
import statistics
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from measure import can_run, measure  # noqa: E402
from places import SUITES, all_here, here, in_suite, machine  # noqa: E402
from scales import ALLOCATING, SCALES  # noqa: E402
from stops import measure_stops  # noqa: E402
from surroundings import BUILD  # noqa: E402
from tables import as_markdown, as_text, costs_document, name_of, stops_document  # noqa: E402
from tools import ALONE, WITH_PEERS  # noqa: E402

# Between these lines of a document stands what was measured.
BEGIN = "<!-- {part} written by tests/bench/run.py --write -->"
END = "<!-- end of the {part} that run.py wrote -->"
PARTS = {"costs": costs_document, "stops": stops_document}


def bench_costs(place, name, scale, groups, rounds, result):
    costs = result["workloads"][name] = measure(place, name, scale, groups, rounds)
    said = "  ".join(f"{tool} {cost['extra']:+.2f}" for tool, cost in costs.items())
    bare = statistics.median(next(iter(costs.values()))["bare_cpu_seconds"])
    print(f"  {name}: {bare:.2f} s bare; {said}", flush=True)


def bench_stops(place, name, scale, rounds, result):
    stops = result["stops"][name] = measure_stops(place, name, scale, rounds)
    said = "  ".join(f"{kind} {cost['extra']:+.2%}" for kind, cost in stops.items())
    print(f"  {name}: a stop that is not hit: {said}", flush=True)


def bench(place, parts, names, scale, groups, rounds):
    result = {"place": place.name, "versions": place.versions, "workloads": {}, "stops": {}}
    print(name_of(result), flush=True)
    for name in names:
        if not can_run(place, name):
            print(f"  {name}: not run, this interpreter has no numpy", flush=True)
            continue
        if "costs" in parts:
            bench_costs(place, name, scale, groups, rounds, result)
        if "stops" in parts and name in ALLOCATING:
            bench_stops(place, name, scale, rounds, result)
    return result


def split_at_marks(path, part):
    """What stands before and behind the place for the tables."""
    marks = BEGIN.format(part=part), END.format(part=part)
    before, begin, rest = path.read_text().partition(marks[0])
    _, end, behind = rest.partition(marks[1])
    if not begin or not end:
        raise argparse.ArgumentTypeError(f"{path} lacks the lines {marks} that the tables go between")
    return before + begin, end + behind


def written_document(text):
    path = pathlib.Path(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"there is no {text}")
    for part in PARTS:
        split_at_marks(path, part)
    return path


def write(results, part, path):
    before, behind = split_at_marks(path, part)
    tables = PARTS[part](results, as_markdown, "### {}".format)
    path.write_text(f"{before}\n\n{tables}\n\n{behind}")


def chosen_workloads(text):
    chosen = [name for name in SCALES if any(name.startswith(part) for part in text.split(","))]
    if not chosen:
        raise argparse.ArgumentTypeError(f"no workload is called {text!r}: there are {', '.join(SCALES)}")
    return chosen


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = "names or beginnings of names, by commas"
    parser.add_argument("-w", "--workloads", type=chosen_workloads, default=list(SCALES), help=names)
    parser.add_argument("-n", "--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="times each workload's own scale")
    parser.add_argument("--only", choices=PARTS, help="measure one part: what recording costs, or what stops add to it")
    parser.add_argument("--write", type=written_document, metavar="FILE", help="put the tables into this document")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--python", action="append", help="an interpreter; may be given again")
    suites = f"with the peers; the suites, of {', '.join(SUITES)}, by commas (default: all)"
    where.add_argument("--peers", nargs="?", const=",".join(SUITES), metavar="SUITES", help=suites)
    arguments = parser.parse_args()
    unknown = set(arguments.peers.split(",")) - set(SUITES) if arguments.peers else None
    if unknown:
        parser.error(f"no interpreter is known of {', '.join(sorted(unknown))}: there are {', '.join(SUITES)}")
    return arguments


def main():
    arguments = parse()
    if arguments.peers:
        places, groups = [in_suite(suite) for suite in arguments.peers.split(",")], WITH_PEERS
    else:
        places, groups = list(map(here, arguments.python)) if arguments.python else all_here(), ALONE
    parts = [arguments.only] if arguments.only else list(PARTS)
    begun = time.monotonic()
    results = {
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "rounds": arguments.rounds,
        "scale": arguments.scale,
        "interpreters": [],
    }
    for place in places:
        result = bench(place, parts, arguments.workloads, arguments.scale, groups, arguments.rounds)
        results["interpreters"].append(result)
    results["minutes"] = (time.monotonic() - begun) / 60
    for part in parts:
        print(f"\n{PARTS[part](results, as_text, '== {} =='.format)}\n")
    folder = BUILD / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / ("peers.json" if arguments.peers else "results.json")
    file.write_text(json.dumps(results, indent=1) + "\n")
    print(f"written to {os.path.relpath(file)}")
    if arguments.write:
        for part in parts:
            write(results, part, arguments.write)
        print(f"written to {arguments.write}")


if __name__ == "__main__":
    main()
