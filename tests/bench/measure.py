"""What a tool costs a workload.

In every round of a group each of its tools runs once, in turn, and so does the bare workload; every other round goes
the other way about. A ratio is taken to the same round's bare run, and the median over the rounds is what counts. The
clock is the workload's own CPU time (user and system): the start and the end of interpreter and tool are excluded, and
so is what a tool's helper process uses.

Events, and the recorder's bytes for each block that was alive at the peak, come from one more run under `memtrace run`,
which is not timed.
"""
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

from scales import NEEDS_NUMPY, SCALES, script
from surroundings import COMMAND, bare_environment
from tools import BARE, TOOLS

LIMIT = 600  # seconds, of one run


def run_at(place, words, assignments=()):
    """Runs words at a place; ends the bench when they fail."""
    command = [*place.lead, "/usr/bin/env", "PYTHONDONTWRITEBYTECODE=1", "PYTHONHASHSEED=0", *assignments, *words]
    command = [str(word) for word in command]
    result = subprocess.run(
        command,
        env=bare_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=LIMIT,
    )
    if result.returncode != 0:
        said = result.stderr.decode(errors="replace")[-2000:]
        sys.exit(f"{' '.join(command)}: status {result.returncode}\n{said}")


def _once(place, workload, scale, tool, folder):
    """CPU seconds, and the bytes of what the tool left in files."""
    out = folder / "out"
    out.mkdir()
    stats = folder / "stats.json"
    words = [word.format(python=place.python, out=out / "recording") for word in tool.words]
    run_at(place, [*words, script(workload), scale], (f"MT_STATS={stats}", *tool.environment))
    written = 0
    for path in out.iterdir():
        written += path.stat().st_size
        path.unlink()
    out.rmdir()
    return json.loads(stats.read_text())["work_cpu"], written


def _status(place, workload, scale, level, folder):
    out = folder / "status.json"
    words = [COMMAND, "run", "--level", level, "--report", "status", "--json", "--out", out, "--"]
    run_at(place, [*words, place.python, script(workload), scale])
    status = json.loads(out.read_text())
    return {
        "events": status["events"],
        "dropped": status["dropped"],
        "recorder_bytes": status["recorder_bytes"],
        "peak_bytes": status["peak_bytes"],
        "peak_blocks": status["peak_blocks"],
        # The recorder gives nothing back to the kernel, so what it has at the end is no less than at the peak.
        "recorder_bytes_per_block": status["recorder_bytes"] / max(1, status["peak_blocks"]),
    }


def _measure_group(place, workload, scale, group, rounds, folder):
    tools = {None: BARE, **{name: TOOLS[name] for name in group.tools}}
    seconds = {name: [] for name in tools}
    written = {}
    for number in range(rounds):
        for name in list(tools) if number % 2 == 0 else reversed(tools):
            cpu, written[name] = _once(place, workload, scale, tools[name], folder)
            seconds[name].append(cpu)
    bare = seconds.pop(None)
    costs = {}
    for name, column in seconds.items():
        ratios = [with_tool / without for with_tool, without in zip(column, bare)]
        cost = costs[name] = {
            "scale": scale,
            "bare_cpu_seconds": bare,
            "cpu_seconds": column,
            "extra": statistics.median(ratios) - 1,
            "extra_least": min(ratios) - 1,
            "extra_most": max(ratios) - 1,
            "bytes_written": written[name],
        }
        if tools[name].level:
            cost.update(_status(place, workload, scale, tools[name].level, folder))
            extra = statistics.median(with_tool - without for with_tool, without in zip(column, bare))
            cost["nanoseconds_per_event"] = extra / max(1, cost["events"]) * 1e9
    return costs


def measure(place, workload, scale, groups, rounds):
    """Tool -> its cost."""
    costs = {}
    for group in groups:
        with tempfile.TemporaryDirectory() as folder:
            part = SCALES[workload] * scale * group.fraction
            costs.update(_measure_group(place, workload, part, group, rounds, pathlib.Path(folder)))
    return {name: costs[name] for name in TOOLS if name in costs}


def can_run(place, workload):
    if workload not in NEEDS_NUMPY:
        return True
    command = [*place.lead, place.python, "-c", "import numpy"]
    return subprocess.run(command, env=bare_environment(), stderr=subprocess.DEVNULL, timeout=LIMIT).returncode == 0
