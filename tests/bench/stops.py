"""What a stop costs that is set and never hit, at level objects.

Each round is one process, which does pieces of the workload with and without the stop in turn (stop_not_hit.py). The
environment differs in size from round to round, and with it the place of the stack, which alone moves a run by several
per cent.
"""
import json
import pathlib
import statistics
import tempfile

from measure import run_at
from surroundings import BUILD
from tools import TOOLS

PROGRAM = pathlib.Path(__file__).resolve().parent / "stop_not_hit.py"
SLOT = BUILD / "bench/stop_slot.so"
SECONDS = 1.0  # of one process, at scale 1
PAD_STEP = 24  # bytes; no multiple of the stack's alignment


def _once(place, workload, seconds, number, out):
    pad = f"PAD={'x' * (number * PAD_STEP)}"
    run_at(place, [place.python, PROGRAM, workload, seconds, SLOT, out], (pad, *TOOLS["objects"].environment))
    return json.loads(out.read_text())


def _cost(rounds, kind):
    ratios = [[held / free for held, free in zip(columns[kind], columns["none"])] for columns in rounds]
    medians = [statistics.median(column) for column in ratios]
    return {
        "extra": statistics.median(sum(ratios, [])) - 1,
        "extra_least": min(medians) - 1,
        "extra_most": max(medians) - 1,
        "pairs": sum(map(len, ratios)),
    }


def measure_stops(place, workload, scale, rounds):
    """Kind of stop -> its cost; of a workload that allocates."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "pieces.json"
        columns = [_once(place, workload, SECONDS * scale, number, out) for number in range(rounds)]
    kinds = [kind for kind in columns[0] if kind != "none"]
    return {kind: _cost(columns, kind) for kind in kinds}
