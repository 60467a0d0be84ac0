"""Marks on real processes: what changed between two moments, to the byte; who of several threads it was; children."""

import json
import os
import re
import subprocess

import pytest

from doors import DOORS, Target, command_line, gdb, lldb
from surroundings import COMMAND, PROGRAMS, bare_environment, gcore, recorded_environment, run, running

STEPS = PROGRAMS / "steps.py"
SIZES = {str(digit): 1_000_000 + digit + 1 for digit in range(10)}  # of the blocks that steps.py makes at level heap


def ask(process, *words):
    result = command_line(["--pid", process.pid, *words, "--json"])
    assert result.returncode == 0, result.stdout + result.stderr
    return json.loads(result.stdout)


def refuse(process, *words):
    result = command_line(["--pid", process.pid, *words])
    assert result.returncode != 0, result.stdout
    assert result.stdout == "" and result.stderr.count("\n") == 1
    return result.stderr.strip()


def do(process, steps):
    for step in steps:
        process.stdin.write(step)
        process.stdin.flush()
        assert process.stdout.readline() == "ready\n"


@pytest.fixture
def process(python):
    with running([python, STEPS], recorded_environment("heap")) as process:
        do(process, "0-")  # whatever is done once is done
        yield process


def by_function(answer):
    return {
        row["stack"][0]["function"]: (row["bytes_delta"], row["blocks_delta"]) for row in answer["rows"] if row["stack"]
    }


def total(answer):
    rows = answer["rows"]
    assert answer["bytes_delta"] == sum(row["bytes_delta"] for row in rows)
    assert answer["blocks_delta"] == sum(row["blocks_delta"] for row in rows)
    return answer["bytes_delta"], answer["blocks_delta"]


def test_difference_is_exact(process):
    mark = ask(process, "mark", "empty")
    assert (mark["command"], mark["action"], mark["generation"], mark["name"]) == ("mark", "mark", 1, "empty")
    for which in ("1", "empty"):
        assert total(ask(process, "diff", which)) == (0, 0)
        assert ask(process, "live", "--since", which)["live_blocks"] == 0
    do(process, "011")
    assert ask(process, "mark", "full")["generation"] == 2
    do(process, "--5")
    even, odd = SIZES["0"], SIZES["1"]
    assert by_function(ask(process, "diff", "empty", "full")) == {"even": (even, 1), "odd": (2 * odd, 2)}
    assert total(ask(process, "diff", "empty", "full")) == (even + 2 * odd, 3)
    assert by_function(ask(process, "diff", "full")) == {"even": (-even, -1), "odd": (SIZES["5"] - odd, 0)}
    assert by_function(ask(process, "diff", "full", "empty")) == {"even": (-even, -1), "odd": (-2 * odd, -2)}
    assert total(ask(process, "diff", "1")) == (odd + SIZES["5"], 2)
    live, peak = ask(process, "live"), ask(process, "status")
    assert total(ask(process, "diff", "start")) == (live["live_bytes"], live["live_blocks"])
    assert [(mark["generation"], mark["name"]) for mark in peak["marks"]] == [(1, "empty"), (2, "full")]
    empty, full = peak["marks"]
    assert full["live_bytes"] - empty["live_bytes"] == even + 2 * odd
    assert live["live_bytes"] - empty["live_bytes"] == odd + SIZES["5"]
    assert 0 < empty["time"] <= full["time"]


def test_blocks_born_since_a_mark(process):
    do(process, "1")
    ask(process, "mark", "a")
    do(process, "23")
    ask(process, "mark", "b")
    do(process, "4--")
    since_a, since_b = ask(process, "live", "--since", "a"), ask(process, "live", "--since", "b")
    assert (since_a["live_bytes"], since_a["live_blocks"]) == (SIZES["3"] + SIZES["4"], 2)
    assert (since_b["live_bytes"], since_b["live_blocks"]) == (SIZES["4"], 1)
    assert [row["generation"] for row in since_b["rows"]] == [2]
    block = since_b["rows"][0]["blocks_sample"][0]
    assert ask(process, "born", block["address"])["generation"] == 2
    # All that was born since a is alive, or in neither of the two; what was there before may be gone.
    assert ask(process, "diff", "a")["bytes_delta"] == since_a["live_bytes"] - SIZES["1"]
    samples = [block["size"] for row in ask(process, "diff", "a")["rows"] for block in row["blocks_sample"]]
    assert sorted(samples) == [SIZES["3"], SIZES["4"]]


@pytest.mark.parametrize("by", ["stack", "line", "function", "file", "thread", "allocator"])
def test_difference_however_grouped(process, by):
    ask(process, "mark")
    do(process, "0123456789---")
    answer = ask(process, "diff", "--by", by, "1")
    assert total(answer) == (sum(SIZES[digit] for digit in "3456789"), 7)
    weights = [abs(row["bytes_delta"]) for row in answer["rows"]]
    assert weights == sorted(weights, reverse=True)
    if by == "thread":
        assert [(row["key"], row["thread"]) for row in answer["rows"]] == [("MainThread", process.pid)]
    if by == "allocator":
        assert [(row["key"], row["blocks_delta"]) for row in answer["rows"]] == [("malloc", 7)]
    limited = ask(process, "diff", "--by", by, "--limit", "0", "1")
    assert limited["rows"] == [] and limited["omitted"] == {"rows": len(weights), "bytes": answer["bytes_delta"]}


def test_the_last_marks_are_kept(process):
    for number in range(1, 11):
        do(process, "0")
        assert ask(process, "mark", f"m{number}")["generation"] == number
    assert total(ask(process, "diff", "1", "m10")) == (9 * SIZES["0"], 9)
    for number in range(11, 31):
        do(process, "1")
        ask(process, "mark")
    do(process, "1")  # an event, by which the last one is set
    kept = ", ".join(str(number) for number in range(15, 31))
    listing = f"there are {kept}"
    assert refuse(process, "diff", "14") == f"memtrace diff: mark 14 is not kept: {listing}"
    assert refuse(process, "diff", "m10") == f"memtrace diff: there is no mark `m10`: {listing}"
    assert refuse(process, "diff", "15", "3") == f"memtrace diff: mark 3 is not kept: {listing}"
    assert refuse(process, "diff", "31") == f"memtrace diff: there is no mark `31`: {listing}"
    assert refuse(process, "live", "--since", "m1") == f"memtrace live: there is no mark `m1`: {listing}"
    assert [mark["generation"] for mark in ask(process, "status")["marks"]] == list(range(15, 31))
    assert total(ask(process, "diff", "15", "30")) == (15 * SIZES["1"], 15)
    # A block says in what generation it was born, however old that is.
    assert ask(process, "live", "--since", "10")["live_blocks"] == 21
    assert ask(process, "live", "--since", "3")["live_bytes"] == 7 * SIZES["0"] + 21 * SIZES["1"]


def test_recording_that_ends_and_begins_again(process):
    ask(process, "mark", "old")
    do(process, "0")
    ask(process, "mark", "last")
    ask(process, "record", "stop")  # at one moment, and the mark is set first
    do(process, "11")
    stopped = ask(process, "diff", "old")
    assert total(stopped) == (SIZES["0"], 1)
    assert stopped["warnings"] == ["recording was stopped: this is how it was then"]
    assert [mark["name"] for mark in ask(process, "status")["marks"]] == ["old", "last"]
    assert total(ask(process, "diff", "last")) == (0, 0)
    assert "recording was stopped" in refuse(process, "mark")
    ask(process, "record", "--level", "heap")
    assert "this moment is `start`" in refuse(process, "mark")
    do(process, "22")
    assert ask(process, "status")["marks"] == []
    assert "there is no mark `old`: no mark is kept" in refuse(process, "diff", "old")
    assert ask(process, "mark", "new")["generation"] == 1
    do(process, "3-")
    assert total(ask(process, "diff", "new")) == (SIZES["3"], 1)  # the dropped one is from before recording
    assert total(ask(process, "diff", "--by", "thread", "new")) == (SIZES["3"], 1)
    assert ask(process, "diff", "--by", "thread", "new")["rows"][0]["key"] == "MainThread"


@pytest.mark.parametrize("level", ["objects", "heap"])
def test_pending_mark_at_one_stop(python, level):
    """In the doors that hold the process: marked, and asked about, at the same stop; then again after it ran."""
    for door in (gdb, lldb):
        with running([python, STEPS], recorded_environment(level)) as process:
            do(process, "0-")
            script = ["memtrace mark here", "memtrace diff here", "memtrace live --since 1", "memtrace diff 1 now --json"]
            attach = [f"process attach -p {process.pid}"] if door is lldb else []
            result = door(attach + script + ["detach"], [] if door is lldb else ["-p", str(process.pid)])
            assert re.search(r"^mark 1 `here`: .* in [0-9,]+ blocks\s+are alive$", result.stdout, re.M), result.stdout + result.stderr
            assert "since mark 1 `here`: no change\n" in result.stdout
            assert "alive now, born since mark 1 `here`: 0 bytes in 0 blocks\n" in result.stdout
            assert '"bytes_delta":0,"blocks_delta":0,"rows":[]' in result.stdout
            do(process, "7")
            answer = ask(process, "diff", "here")
            rows = {row["stack"][0]["function"]: row for row in answer["rows"] if row["stack"]}
            assert max(block["size"] for block in rows["odd"]["blocks_sample"]) == SIZES["7"]
            assert ask(process, "status")["marks"][0]["name"] == "here"


@pytest.mark.parametrize("debugger", [gdb, lldb])
def test_rows_keep_their_numbers_over_a_mark(debugger, python):
    """To set a mark writes to the process, which does not run by that."""
    program = [python, PROGRAMS.parent.parent / "examples" / "holding.py", "--bytearray", "--pause"]
    script = ["memtrace record --level heap", "run", "memtrace peak --limit 4", "memtrace mark", "memtrace born 2"]
    result = debugger(script, ["--args" if debugger is gdb else "--", *program])
    assert result.returncode == 0, result.stderr
    assert "is the start of a block of 100,000,001 bytes" in result.stdout


def test_marks_in_a_core(process, tmp_path):
    ask(process, "mark", "a")
    do(process, "5")
    ask(process, "mark", "b")
    do(process, "6-")
    live = [ask(process, "diff", "a", "b"), ask(process, "diff", "a"), ask(process, "live", "--since", "b")]
    core = gcore(process.pid, tmp_path / "core")
    commands = ["diff --json a b", "diff --json a", "live --json --since b"]
    for name, door in DOORS.items():
        answers = [answer.json() for answer in door(Target(core=str(core)), commands)]
        for answer, expected in zip(answers, live, strict=True):
            assert {**answer, "target": 0} == {**expected, "target": 0}, name
    result = command_line(["--core", core, "mark"])
    assert result.returncode != 0
    assert result.stderr == "memtrace mark: a core is what a process left behind: only a process can be marked\n"


def test_every_instruction_of_a_mark(tmp_path):
    """From the request on, the mark shows what was alive when it was asked for: before, while and after it is set."""
    program = tmp_path / "few_blocks"
    subprocess.run(["gcc", "-g", "-O0", "-o", program, PROGRAMS / "few_blocks.c"], check=True, timeout=60)
    script = ["set startup-with-shell off", "memtrace record --level heap", f"source {PROGRAMS / 'step_mark.py'}"]
    result = gdb(script, [program])
    found = re.search("^RESULT (.*)$", result.stdout, re.M)
    assert found, result.stdout[-2000:] + result.stderr[-2000:]
    answers = json.loads(found[1])
    assert answers["count"] > 300
    here = [0, [], 1300, 0, [[1, "here", 1300, 2]]]
    assert answers["seen"] == [here] and answers["at_end"] == here
    later = answers["later"]
    assert (later[0], later[2], later[3]) == (70005, 1300, 2) and later[4] == here[4]


# --- threads ------------------------------------------------------------------------------------------------------------

NAMES = ["before", "inside", "by-prctl", "outside", "by-file"]
ALLOCATORS = ["malloc", "calloc", "realloc", "posix_memalign", "mmap"]


@pytest.fixture(scope="module")
def named_threads(tmp_path_factory):
    program = tmp_path_factory.mktemp("threads") / "named_threads"
    command = ["gcc", "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-o", program]
    subprocess.run([*command, PROGRAMS / "named_threads.c", "-pthread"], check=True, timeout=60)
    return program


def sizes(rounds):
    """{thread: (bytes, blocks)} of these rounds; they are added to those of the thread's own start."""
    return {name: (sum((i + 1) * 10000 + r for r in rounds), len(rounds)) for i, name in enumerate(NAMES)}


def test_named_threads(named_threads):
    with running([named_threads], recorded_environment("heap")) as process:
        named = {row["key"] for row in ask(process, "live", "--by", "thread")["rows"]}
        assert {"MainThread", "before", "inside", "by-prctl", "outside"} <= named
        ask(process, "mark", "one")
        do(process, "x")
        ask(process, "mark", "two")
        do(process, "xx")
        for command, rounds in (
            (["diff", "--by", "thread", "one", "two"], [1]),
            (["diff", "--by", "thread", "two"], [2, 3]),
            (["diff", "--by", "thread", "one"], [1, 2, 3]),
        ):
            rows = ask(process, *command)["rows"]
            assert {row["key"]: (row["bytes_delta"], row["blocks_delta"]) for row in rows} == sizes(rounds)
            assert [row["allocator"] for row in rows] == ALLOCATORS[::-1]
        rows = ask(process, "live", "--by", "thread", "--since", "two")["rows"]
        assert {row["key"]: (row["bytes"], row["blocks"]) for row in rows} == sizes([2, 3])
        rows = ask(process, "diff", "--by", "allocator", "one")["rows"]
        expected = dict(zip(ALLOCATORS, sizes([1, 2, 3]).values(), strict=True))
        assert {row["key"]: (row["bytes_delta"], row["blocks_delta"]) for row in rows} == expected
        for command in ("peak", "live"):
            rows = {row["key"]: row for row in ask(process, command, "--by", "thread")["rows"]}
            everything = sizes([0, 1, 2, 3])
            assert set(rows) == {"MainThread", *NAMES}
            for name in NAMES:
                assert (rows[name]["bytes"], rows[name]["blocks"]) == everything[name], (command, name)
                assert os.path.exists(f"/proc/{process.pid}/task/{rows[name]['thread']}")
            # The main thread and the allocator of its threads' stacks make others of malloc, calloc and mmap.
            rows = {row["key"]: row for row in ask(process, command, "--by", "allocator")["rows"]}
            for allocator, name in (("realloc", "by-prctl"), ("posix_memalign", "outside")):
                assert (rows[allocator]["bytes"], rows[allocator]["blocks"]) == everything[name]


# --- children -----------------------------------------------------------------------------------------------------------

# Runs itself as often as its argument says, the last one asks about itself; each holds a block of another size to its
# very end.
GENERATIONS = """
import os, subprocess, sys
command, through, depth, code = sys.argv[1:]
held = bytearray(3_000_000 + int(depth))
program = [sys.executable, "-c", code, command, through, str(int(depth) - 1), code]
question = [command, "--pid", str(os.getpid()), "live", "--by", "line", "--limit", "1", "--json"]
if depth == "0":
    subprocess.run(question, env={})
elif through == "shell":
    subprocess.run(["sh", "-c", 'exec "$0" "$@"', *program])
elif through == "exec" and depth == "1":
    os.execv(program[0], program)
else:
    subprocess.run(program)
os._exit(0)
"""


@pytest.mark.parametrize("through", ["subprocess", "shell", "exec"])
@pytest.mark.parametrize("follow", [True, False])
def test_run_follows_children(python, tmp_path, follow, through):
    """The last of three asks about itself; the report is the first one's own, whatever a user's environment says."""
    out = tmp_path / "report"
    options = ["--level", "heap", "--report", "live --by line --limit 1", "--json", "--out", out] + ["--follow"] * follow
    command = [COMMAND, "run", *options, "--", python, "-c", GENERATIONS, COMMAND, through, "2", GENERATIONS]
    result = run(command, bare_environment(MEMTRACE_PID="1", MEMTRACE_FOLLOW="0"))
    assert result.returncode == 0, result.stderr
    answer, report = json.loads(result.stdout), json.loads(out.read_text())
    if follow:
        assert answer["rows"][0]["bytes"] == 3_000_001
        assert answer["target"]["pid"] != report["target"]["pid"]
    else:
        assert answer["error"]["code"] == "not-recorded"
    assert report["rows"][0]["bytes"] == 3_000_003


def test_help_tells_how_to_ask_a_child():
    text = run([COMMAND, "run", "--help"]).stdout
    assert "--follow" in text and "memtrace --pid PID peak" in text
    assert all(len(line) <= 80 for line in text.splitlines()[1:])
