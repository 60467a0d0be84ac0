"""Measured costs as tables: each described once, then laid out as text or as Markdown."""
import statistics
import typing

from scales import ALLOCATING
from tools import LEVELS, RIVALS, SHARE_TARGET, STOP_TARGET

# With fewer, the time of one can't be told: noise, and the start-up, whose events are counted and whose time is not.
FEW_EVENTS = 1_000_000


class Table(typing.NamedTuple):
    title: str
    head: list
    rows: list


def _tools_of(result):
    return list(next(iter(result["workloads"].values())))


def _medians(result):
    """Tool -> median of its extra time over the allocating workloads that it ran on."""
    medians = {}
    for tool in _tools_of(result):
        extra = [costs[tool]["extra"] for name, costs in result["workloads"].items() if name in ALLOCATING]
        if extra:
            medians[tool] = statistics.median(extra)
    return medians


def _extra(result):
    tools = _tools_of(result)
    rows = [[name, *(f"{costs[tool]['extra']:+.2f}" for tool in tools)] for name, costs in result["workloads"].items()]
    medians = _medians(result)
    if medians:
        count = sum(name in ALLOCATING for name in result["workloads"])
        rows.append([f"median of {count}", *(f"{medians[tool]:+.2f}" for tool in tools)])
    title = (
        "Extra CPU time: the ratio to the bare run of the same round, minus 1; median of the rounds."
        " The last line is over the workloads that allocate: not w0, w4, w8"
    )
    return Table(title, ["workload", *tools], rows)


def _spread(result):
    tools = _tools_of(result)
    rows = []
    for name, costs in result["workloads"].items():
        spans = (f"{costs[tool]['extra_least']:+.2f} to {costs[tool]['extra_most']:+.2f}" for tool in tools)
        rows.append([name, *spans])
    return Table("The same, least and most", ["workload", *tools], rows)


def _bare(result):
    tools = _tools_of(result)
    rows = []
    for name, costs in result["workloads"].items():
        row = [f"{statistics.median(costs[tool]['bare_cpu_seconds']):.2f}" for tool in tools]
        rows.append([name, *row])
    return Table("CPU seconds of the bare runs that a tool was compared with", ["workload", *tools], rows)


def _recorder(result):
    head = "workload,level,events,ns an event,dropped,recorder bytes,blocks at the peak,bytes a block".split(",")
    rows = []
    for name, costs in result["workloads"].items():
        for level in LEVELS:
            cost = costs[level]
            enough = cost["events"] >= FEW_EVENTS
            rows.append(
                [
                    name,
                    level,
                    f"{cost['events']:,}",
                    f"{cost['nanoseconds_per_event']:.0f}" if enough else "-",
                    f"{cost['dropped']:,}",
                    f"{cost['recorder_bytes']:,}",
                    f"{cost['peak_blocks']:,}",
                    f"{cost['recorder_bytes_per_block']:.1f}",
                ]
            )
    return Table("The recorder itself (ns: a dash where there are too few events to tell)", head, rows)


def _files(result):
    workloads = result["workloads"]
    tools = [tool for tool in _tools_of(result) if any(costs[tool]["bytes_written"] for costs in workloads.values())]
    if not tools:
        return None
    rows = [[name, *(f"{costs[tool]['bytes_written']:,}" for tool in tools)] for name, costs in workloads.items()]
    title = "Bytes of the files that the peers wrote, in the last round; memtrace writes none"
    return Table(title, ["workload", *tools], rows)


def tables(result):
    every = (_extra(result), _spread(result), _bare(result), _recorder(result), _files(result))
    return [table for table in every if table]


def shares(result):
    """Sentences: what part of its rival's extra time each level takes."""
    medians = _medians(result)
    said = []
    for ours, rival in RIVALS.items():
        if medians.get(rival, 0) > 0:
            part = medians[ours] / medians[rival]
            verdict = "met" if part <= SHARE_TARGET else "missed"
            said.append(
                f"{ours} {medians[ours]:+.2f} is {part:.3f} of {rival}'s {medians[rival]:+.2f}"
                f" (target: at most {SHARE_TARGET}: {verdict})"
            )
    return said


def _stop_medians(result):
    """Kind of stop -> median of what it adds over the workloads."""
    every = list(result["stops"].values())
    return {kind: statistics.median(costs[kind]["extra"] for costs in every) for kind in every[0]}


def _stops(result):
    medians = _stop_medians(result)
    rows = []
    for name, costs in result["stops"].items():
        cells = []
        for cost in costs.values():
            cells += [f"{cost['extra']:+.1%}", f"{cost['extra_least']:+.1%} to {cost['extra_most']:+.1%}"]
        rows.append([name, *cells, f"{next(iter(costs.values()))['pairs']:,}"])
    cells = [cell for median in medians.values() for cell in (f"{median:+.1%}", "")]
    rows.append([f"median of {len(rows)}", *cells, ""])
    title = (
        "A stop that is set and not hit, at level objects: the ratio of CPU time to the same work without it, minus 1;"
        " median of the pairs, and least and most of the rounds' medians"
    )
    return Table(title, ["workload", *(word for kind in medians for word in (kind, "rounds")), "pairs"], rows)


def stop_verdicts(result):
    said = []
    for kind, median in _stop_medians(result).items():
        verdict = "met" if median <= STOP_TARGET else "missed"
        said.append(f"{kind} adds {median:+.1%} (target: at most {STOP_TARGET:.0%}: {verdict})")
    return said


def name_of(result):
    others = ", ".join(f"{name} {version}" for name, version in result["versions"].items() if name != "CPython")
    return f"CPython {result['versions']['CPython']}, {result['place']}" + (f" ({others})" if others else "")


def conditions(bench):
    machine = bench["machine"]
    return (
        f"Measured {bench['date']} in {bench['minutes']:.0f} min: {machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_gib']} GiB, Linux {machine['kernel']}, load average before {machine['load_before']}; "
        f"n = {bench['rounds']} rounds, scale {bench['scale']:g}."
    )


def as_text(table):
    lines = [table.head, *table.rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(table.head))]
    said = [table.title]
    for line in lines:
        cells = [cell.rjust(width) for cell, width in zip(line, widths)]
        said.append("  ".join([line[0].ljust(widths[0]), *cells[1:]]))
    return "\n".join(said)


def as_markdown(table):
    lines = [table.head, ["---", *("---:" for _ in table.head[1:])], *table.rows]
    return "\n".join([f"{table.title}.", "", *("| " + " | ".join(line) + " |" for line in lines)])


def costs_document(bench, layout, heading):
    """`layout`: of a table; `heading`: of an interpreter's part."""
    parts = [conditions(bench)]
    for result in bench["interpreters"]:
        parts.append(heading(name_of(result)))
        parts += [f"{sentence}." for sentence in shares(result)]
        parts += [layout(table) for table in tables(result)]
    return "\n\n".join(parts)


def stops_document(bench, layout, heading):
    parts = [conditions(bench)]
    for result in bench["interpreters"]:
        if result["stops"]:
            parts.append(heading(name_of(result)))
            parts += [f"{sentence}." for sentence in stop_verdicts(result)]
            parts.append(layout(_stops(result)))
    return "\n\n".join(parts)
