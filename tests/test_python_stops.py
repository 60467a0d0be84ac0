"""Stops at Python's lines, steps, and what lines did to memory: against sizes that Python itself tells, and against marks."""

import json
import sys

import pytest

from doors import DOORS, Target, gdb
from interpreters import EXAMINED, SYSTEM, version_of
from recording import compiled
from surroundings import EXAMPLES, PROGRAMS, RECORDER, ROOT, bare_environment, recorded_environment, running
from surroundings import wait_until_asleep

PROGRAM = PROGRAMS / "lines_of_work.py"
TRACED = (9, 10, 11)  # minor versions without sys.monitoring


def at_work(interpreter, *program):
    """The recorded program; it says when it is there."""
    program = program or (PROGRAM,)
    inside = interpreter.inside
    variables = dict(interpreter.variables)
    if inside:  # none of the programs on the way there is to be recorded
        command = [*inside, "/usr/bin/env", f"LD_PRELOAD={RECORDER}", interpreter.path, *program]
        return running(command, bare_environment(**variables), ready=None)
    return running([interpreter.path, *program], recorded_environment(**variables), ready=None)


def ask(door, process, commands, before=()):
    answers = DOORS[door](Target(pid=process.pid), commands, before=[*before])
    for answer, command in zip(answers, commands):
        assert not answer.failed, (command, answer.text)
    return {command: answer for command, answer in zip(commands, answers)}


def kept_by_line(table):
    return {row["line"]: row["kept"] for row in table["rows"]}


def check_work(door, interpreter):
    commands = ["lines work", "mark a", "next --json", "next", "finish --json", "lines --json", "mark b", "diff a b --json"]
    commands.append("lines")
    with at_work(interpreter) as process:
        told = json.loads(process.stdout.readline())
        expected = {int(line): kept for line, kept in told["kept"].items()}
        before = ["memtrace break --function work", "continue"]
        answers = ask(door, process, commands, before)
    first = min(expected)
    step = answers["next --json"].json()
    assert step["reason"] == "line"
    assert (step["from"]["line"], step["at"]["line"]) == (first, first + 1)
    assert step["from"]["kept"] == expected[first]
    assert step["from"]["allocated"] - step["from"]["freed"] == expected[first]
    assert step["from"]["peak"] >= expected[first]
    assert f"kept +{expected[first + 1]:,}" in answers["next"].text, answers["next"].text
    finish = answers["finish --json"].json()
    assert finish["reason"] == "return"
    assert finish["from"]["line"] == first + 2
    table = answers["lines --json"].json()
    kept = kept_by_line(table)
    assert {line: kept[line] for line in expected} == expected
    change = answers["diff a b --json"].json()["bytes_delta"]
    assert sum(kept.values()) == change + table["freed_by_memtrace"]
    assert all(row["allocated"] - row["freed"] == row["kept"] for row in table["rows"])
    twice = next(row for row in table["rows"] if row["line"] == first + 4)
    assert (twice["times"], twice["peak"]) == (2, twice["kept"])
    assert all(len(line) <= 80 for line in answers["lines"].text.splitlines()), answers["lines"].text


@pytest.mark.parametrize("interpreter", EXAMINED, ids=str)
def test_lines_of_a_function_are_exact(interpreter):
    interpreter.require()
    check_work("gdb", interpreter)


@pytest.mark.parametrize("interpreter", EXAMINED[:2], ids=str)
def test_lldb_steps_alike(interpreter):
    interpreter.require()
    check_work("lldb", interpreter)


@pytest.mark.parametrize("interpreter", EXAMINED, ids=str)
def test_lines_that_are_under_way(interpreter):
    """CPython prepares frames and code for events in the midst of a line, or before the first event: it is in no number."""
    interpreter.require()
    before = ["memtrace break --temporary --alloc 200000", "continue"]
    commands = ["next --json", "next --json", "next --json", "finish --json"]
    with at_work(interpreter, PROGRAMS / "amid_lines.py") as process:
        first = json.loads(process.stdout.readline())
        answers = DOORS["gdb"](Target(pid=process.pid), commands, before=before)
        before = ["memtrace break --temporary --function fresh", "continue"]
        again = ask("gdb", process, ["lines fresh", "finish --json", "lines --json"], before)
    rest, leave, line, end = (answer.json() for answer in answers)
    size = {count: sys.getsizeof(bytes(count)) for count in (1_000, 3_000, 5_000, 7_000)}
    assert rest["from"]["line"] == first["deepest"] + 1
    assert (rest["from"]["kept"], rest["from"]["peak"]) == (size[3_000], size[3_000])
    assert leave["at"] == dict(leave["at"], function="middle", line=first["middle"] + 2)
    assert (leave["after"]["kept"], leave["after"]["peak"]) == (size[7_000], size[7_000])
    assert (line["from"]["kept"], line["from"]["peak"]) == (size[5_000], size[5_000])
    assert (end["reason"], end["from"]["line"]) == ("return", first["middle"] + 3)
    rows = {row["line"] - first["fresh"]: row for row in again["lines --json"].json()["rows"]}
    numbers = [[rows[number][key] for key in ("allocated", "freed", "kept", "peak")] for number in (4, 5)]
    if interpreter.minor >= 11:  # before, CPython itself keeps the frame of a code object's first call
        assert numbers[0] == numbers[1], numbers
    assert sum(row["kept"] for row in rows.values()) == again["finish --json"].json()["from"]["kept"]


@pytest.mark.parametrize("interpreter", EXAMINED, ids=str)
def test_what_ends_for_the_measurement_is_told(interpreter):
    """CPython's cache of types' attributes lets go of names when the recorder looks up its own."""
    interpreter.require()
    before = ["memtrace break --temporary --alloc 250000", "continue", "memtrace mark a", "memtrace lines work"]
    before += ["memtrace break --temporary --function after", "continue"]
    with at_work(interpreter, PROGRAMS / "crowded_names.py") as process:
        process.stdout.readline()
        answers = ask("gdb", process, ["lines --json", "diff a --json", "lines"], before)
    table = answers["lines --json"].json()
    change = answers["diff a --json"].json()["bytes_delta"]
    begun = sys.getsizeof(bytes(250_000))  # alive at the mark, and gone before the first line
    assert sum(kept_by_line(table).values()) - table["freed_by_memtrace"] - begun == change
    told = "ended in CPython's work for memtrace" in answers["lines"].text
    assert told == (table["freed_by_memtrace"] > 0)


PLAIN = EXAMINED[:2]  # one that is traced, one that is monitored


@pytest.mark.parametrize("interpreter", PLAIN, ids=str)
def test_calls_of_itself_count_once(interpreter):
    """Recursion: each line counts what it did itself, so that the sum is what the call did."""
    interpreter.require()
    before = ["memtrace break --temporary --function factorial", "continue"]
    commands = ["lines factorial", "mark a", "finish --json", "lines --json", "mark b", "diff a b --json"]
    with at_work(interpreter) as process:
        first = json.loads(process.stdout.readline())["recursion"]
        answers = ask("gdb", process, commands, before)
    table = answers["lines --json"].json()
    rows = {row["line"]: row for row in table["rows"]}
    change = answers["diff a b --json"].json()["bytes_delta"] + table["freed_by_memtrace"]
    assert rows[first + 1]["times"] == 5
    assert sum(row["kept"] for row in rows.values()) == change
    assert answers["finish --json"].json()["from"]["kept"] == change
    # The innermost data are 5,000 bytes, and all the others of the outer calls are there too.
    assert rows[first + 1]["allocated"] > 15_000


@pytest.mark.parametrize("interpreter", PLAIN, ids=str)
def test_an_exception_ends_a_step(interpreter):
    interpreter.require()
    before = ["memtrace break --temporary --function fail", "continue"]
    with at_work(interpreter) as process:
        process.stdout.readline()
        answers = ask("gdb", process, ["next --json", "next --json", "next --json"], before)
        again = ask("gdb", process, ["finish --json"], before)
    left = answers["next --json"].json()
    assert left["at"]["function"] == "guarded"
    assert left["from"]["function"] in ("fail", "guarded")
    assert again["finish --json"].json()["reason"] == "exception"


@pytest.mark.parametrize("interpreter", PLAIN, ids=str)
def test_names_that_come_late_or_twice(interpreter, tmp_path):
    interpreter.require()
    folders = [tmp_path / "first folder", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
        (folder / "same.py").write_text("def late():\n    return bytes(4)\n")
    before = [f"memtrace break --function {name}" for name in ("again", "'<lambda>'", "late")]
    before += [f"memtrace break --line '{folder.name}/same.py:2'" for folder in folders]
    with at_work(interpreter, PROGRAMS / "names_of_functions.py", *folders) as process:
        assert process.stdout.readline() == "ready\n"
        before += [f"shell echo > /proc/{process.pid}/fd/0", *["continue"] * 5]
        (answer,) = ask("gdb", process, ["break list --json"], before).values()
    # The function that replaced another is one more of its name; each file is its own, and `late` is in both.
    assert [row["hits"] for row in answer.json()["rows"]] == [2, 1, 2, 1, 1]


LAST_LINES = {"inner": 3, "outer": 3, "pause": 2, "task": 3}  # of each function, counted from its first


@pytest.mark.parametrize("interpreter", EXAMINED, ids=str)
def test_a_step_to_the_end_passes_what_waits(interpreter):
    """A generator that yields has not returned."""
    interpreter.require()
    with at_work(interpreter, PROGRAMS / "waiting_frames.py") as process:
        first = json.loads(process.stdout.readline())
        for name, lines in LAST_LINES.items():
            before = [f"memtrace break --temporary --function {name}", "continue"]
            step = ask("gdb", process, ["finish --json"], before)["finish --json"].json()
            assert (step["reason"], step["at"]["function"]) == ("return", name)
            assert step["at"]["line"] == first[name] + lines, name


@pytest.mark.parametrize("interpreter", PLAIN, ids=str)
def test_a_return_leads_to_the_caller(interpreter):
    """What the variables of a function held is let go after its return."""
    interpreter.require()
    before = ["memtrace break --temporary --function fill", "continue", "memtrace next --json", "memtrace break list"]
    with at_work(interpreter) as process:
        process.stdout.readline()
        answers = ask("gdb", process, ["next", "threads --json"], before[:2])
    text = answers["next"].text
    assert "return bytearray(size)" in text
    assert "and from its return on: " in text, text
    assert "del first" in text, text


@pytest.mark.parametrize("interpreter", PLAIN, ids=str)
def test_a_step_from_a_return_is_about_the_caller(interpreter):
    """Of the frame that returns there is nothing more to come; another call's may be at its address."""
    interpreter.require()
    before = ["memtrace break --temporary --function fill", "continue"]
    with at_work(interpreter) as process:
        first = min(map(int, json.loads(process.stdout.readline())["kept"]))
        one = ask("gdb", process, ["finish", "next --json"], before)
        two = ask("gdb", process, ["finish", "finish --json"], before)
    line = one["next --json"].json()
    assert (line["at"]["function"], line["at"]["line"]) == ("work", first + 2)
    assert (line["from"]["function"], line["from"]["kept"], line["after"]["kept"]) == ("fill", 0, 0)
    end = two["finish --json"].json()
    assert (end["reason"], end["from"]["function"], end["from"]["line"]) == ("return", "work", first + 1)


@pytest.mark.parametrize("interpreter", PLAIN, ids=str)
def test_breakpoints_are_of_the_one_list(interpreter):
    interpreter.require()
    file = PROGRAM.name
    line = PROGRAM.read_text().splitlines().index("    del first") + 1
    before = [f"memtrace break --line {file}:{line}", "memtrace break --heap 900G", "continue"]
    commands = ["break list --json", "threads --json", "break delete", "break list --json"]
    with at_work(interpreter) as process:
        process.stdout.readline()
        answers = DOORS["gdb"](Target(pid=process.pid), commands, before=before)
    rows = answers[0].json()["rows"]
    assert [(row["number"], row["hits"], row["kind"]) for row in rows] == [(1, 1, "line"), (2, 0, "heap")]
    assert (rows[0]["file"], rows[0]["line"]) == (file, line)
    innermost = answers[1].json()["rows"][0]["frames"][0]
    assert (innermost["function"], innermost["line"]) == ("work", line)
    assert answers[3].json()["rows"] == []


@pytest.mark.parametrize("interpreter", PLAIN, ids=str)
def test_the_books_are_as_without_stops(interpreter):
    """What CPython allocates for our sake is in no answer: between two stops at one place of a loop nothing is kept."""
    interpreter.require()
    line = PROGRAM.read_text().splitlines().index("        work()") + 1
    before = [f"memtrace break --line {PROGRAM.name}:{line}", *["continue"] * 20, "memtrace mark a", *["continue"] * 20]
    with at_work(interpreter) as process:
        process.stdout.readline()
        answers = ask("gdb", process, ["diff a --json"], before)
    assert answers["diff a --json"].json()["bytes_delta"] == 0


@pytest.mark.parametrize("interpreter", PLAIN, ids=str)
def test_threads_that_begin_later_stop_too(interpreter):
    interpreter.require()
    before = ["memtrace break --function worked", "continue", "continue"]
    with at_work(interpreter, PROGRAMS / "threads_at_work.py") as process:
        process.stdout.readline()
        answers = ask("gdb", process, ["next --json", "threads --json"], before)
    step = answers["next --json"].json()
    assert (step["from"]["function"], step["reason"]) == ("worked", "line")
    assert step["from"]["kept"] == sys.getsizeof(bytearray(123_456))
    inside = [row for row in answers["threads --json"].json()["rows"] if row["frames"][0]["function"] == "worked"]
    assert [row["name"].startswith("Thread-") for row in inside] == [True]


@pytest.mark.parametrize("interpreter", PLAIN, ids=str)
@pytest.mark.parametrize("door", ["gdb", "lldb"])
def test_a_step_at_the_end_of_the_program(interpreter, door, tmp_path):
    interpreter.require()
    go = tmp_path / "go"
    program = PROGRAMS / "last_line.py"
    touch = {"gdb": f"shell touch {go}", "lldb": f"script open('{go}', 'w')"}[door]

    def steps(words, line, commands):
        with at_work(interpreter, program, go, *words) as process:
            process.stdout.readline()
            answers = DOORS[door](
                Target(pid=process.pid), commands, before=[f"memtrace break --line last_line.py:{line}", touch, "continue"]
            )
        go.unlink()
        return answers

    last, after = steps([], 13, ["next --json", "next"])
    assert last.json()["reason"] == "return"
    assert last.json()["from"]["kept"] == sys.getsizeof(bytes(1000))
    assert "the end of the thread's Python code" in after.text
    (ended,) = steps(["exit"], 12, ["next --json"])
    assert ended.json()["reason"] == "exit"


@pytest.mark.parametrize("interpreter", PLAIN, ids=str)
def test_a_child_has_no_stops(interpreter, tmp_path):
    interpreter.require()
    go = tmp_path / "go"
    with at_work(interpreter, PROGRAMS / "threads_at_work.py", "fork", go) as process:
        process.stdout.readline()
        script = ["memtrace break --function worked", "continue", "memtrace break delete", "memtrace lines worked"]
        result = gdb([*script, f"shell touch {go}"], ["-p", process.pid])
        assert "calls of worked()" in result.stdout, result.stdout + result.stderr
        assert process.stdout.readline() == "child 0\n"
        table = DOORS["memtrace"](Target(pid=process.pid), ["lines --json"])[0].json()
    assert sum(row["kept"] for row in table["rows"][:1]) > 123_456


def test_the_end_of_recording_ends_all_stops():
    """As sys.monitoring tells; of a trace function that has no Python object nobody tells."""
    interpreter = PLAIN[1]
    interpreter.require()
    script = ["memtrace break --function worked", "continue", "memtrace record stop"]
    with at_work(interpreter, PROGRAMS / "threads_at_work.py", "tools") as process:
        process.stdout.readline()
        assert process.stdout.readline() == "tools 0\n"
        result = gdb(script, ["-p", process.pid])
        assert "calls of worked()" in result.stdout, result.stdout + result.stderr
        assert process.stdout.readline() == "tools 1\n"
        assert process.stdout.readline() == "tools 0\n"


@pytest.mark.parametrize("door", ["gdb", "lldb"])
def test_example_a_from_its_start(door):
    """holding.py: each line keeps its 100,000,000 bytes; the table is what the marks around it say."""
    begin = {
        "gdb": ["set breakpoint pending on", "memtrace record", "break Py_BytesMain", "run"],
        "lldb": ["memtrace record", "breakpoint set -n Py_BytesMain", "run"],
    }[door]
    before = [*begin, "memtrace break --function process_data", "memtrace lines process_data", "continue"]
    commands = ["mark a", "next", "next", "finish", "lines --json", "lines", "mark b", "diff a b --json"]
    program = (SYSTEM, EXAMPLES / "holding.py", "--bytearray")
    answers = DOORS[door](Target(program=program), commands, before=before)
    texts = {command: answer.text for command, answer in zip(commands, answers)}
    table, difference = answers[4].json(), answers[7].json()
    assert "data_pow = raise_to_power(data, POWER)" in texts["next"]
    kept = [row["kept"] for row in table["rows"]]
    assert len(kept) == 3
    assert all(100_000_000 <= bytes < 100_002_000 for bytes in kept), kept
    assert sum(kept) == difference["bytes_delta"] + table["freed_by_memtrace"]


@pytest.mark.parametrize("interpreter", EXAMINED, ids=str)
def test_what_is_waited_for_is_told(interpreter):
    """Nothing begins before the main thread executes Python again."""
    interpreter.require()
    program = "import time\ndef idle():\n    print('ready', flush=True)\n    time.sleep(100)\nidle()"
    with at_work(interpreter, "-c", program) as process:
        assert process.stdout.readline() == "ready\n"
        wait_until_asleep(process)
        text, row = DOORS["gdb"](Target(pid=process.pid), ["break --function absent", "lines idle --json"])
    assert "it waits for the main thread, which is in C code that idle() called at" in text.text, text.text
    assert (row.json()["waits_for"]["function"], row.json()["waits_for"]["line"]) == ("idle", 4)


# Goes to work once a debugger is there, and lets it run.
UNTIL_TRACED = """
import time
def work(n):
    kept = n
    return kept

print("ready", flush=True)
while "TracerPid:\\t0\\n" in open("/proc/self/status").read():
    time.sleep(0.01)
for n in range(50):
    work(n)
"""


@pytest.mark.parametrize("door", ["gdb", "lldb"])
@pytest.mark.parametrize("interpreter", PLAIN, ids=str)
def test_conditions_are_the_debuggers(interpreter, door, tmp_path):
    """Asked at each arrival at the line, and not before: a counter in the debugger tells the seventh of them."""
    interpreter.require()
    program = tmp_path / "program.py"
    program.write_text(UNTIL_TRACED)
    begin = {"gdb": "set $n = 0", "lldb": "expression int $n = 0"}[door]
    after = "memtrace break --function no_such_function --if 1"
    before = [begin, "memtrace break --line program.py:5 --if ++$n == 7", after, "continue"]
    with at_work(interpreter, program) as process:
        process.stdout.readline()
        answers = DOORS[door](Target(pid=process.pid), ["object --json py:n", "break list --json"], before=before)
    assert answers[0].json()["repr"] == "6", answers[0].text
    assert [(row["hits"], row["condition"]) for row in answers[1].json()["rows"]] == [(1, "++$n == 7"), (0, "1")]


@pytest.mark.parametrize("door", ["gdb", "lldb"])
def test_free_threaded_builds_are_refused(door, tmp_path):
    """A program that says of itself that it is one."""
    include = [f"-I{ROOT / 'native'}", f"-I{ROOT / 'tests/recorder'}"]
    options = ["-DVERSION=0x030e00f0ul", "-DFREE_THREADED", "-D_GNU_SOURCE", "-fno-builtin", "-rdynamic", *include]
    program = compiled(tmp_path / "program", ROOT / "tests/recorder/strange_python.c",
                       ROOT / "tests/recorder/image_reader.c", *options)  # fmt: skip
    stop = {"gdb": "break image_dump", "lldb": "breakpoint set -n image_dump"}[door]
    before = ["memtrace record", stop, "run"]
    for command, reason in (
        ("break --type-count Order 3", "is a free-threaded build: only builds with the GIL are read"),
        ("break --line app.py:3", "free-threaded CPython has no safe point for this"),
        ("break --function work", "free-threaded CPython has no safe point for this"),
        ("next", "free-threaded CPython has no safe point for this"),
    ):
        answer = DOORS[door](Target(program=(program,)), [command], before=before)[0]
        assert answer.failed and answer.text.strip().endswith(reason), answer.text
        assert answer.text.startswith(f"memtrace {command.split(' --')[0]}: "), answer.text


def test_refusals_are_one_line():
    core_or_none = DOORS["gdb"](Target(), ["next"])[0]
    assert core_or_none.failed and "\n" not in core_or_none.text.strip(), core_or_none.text
    wrong = DOORS["gdb"](Target(), ["break --line app.py"])[0]
    assert wrong.failed and "--line takes a file and a line" in wrong.text
    with running([SYSTEM, "-c", "print('ready', flush=True); input()"], bare_environment()) as process:
        answer = DOORS["gdb"](Target(pid=process.pid), ["lines main"])[0]
    assert answer.failed and "`memtrace record` begins here and now" in answer.text
    with running([SYSTEM, "-c", "print('ready', flush=True); input()"], recorded_environment()) as process:
        answer = DOORS["memtrace"](Target(pid=process.pid), ["next"])[0]
        assert answer.failed and "use gdb or lldb" in answer.text


def test_another_trace_function_is_left_alone():
    if version_of(SYSTEM)[1] not in TRACED:
        pytest.skip("its Python has sys.monitoring: several tools live side by side")
    program = "import sys, time\nsys.settrace(lambda *a: None)\nprint('ready', flush=True)\nwhile True: time.sleep(0.01), bytes(9999)"
    with running([SYSTEM, "-c", program], recorded_environment(), ready="ready\n") as process:
        result = gdb(["memtrace break --function absent", "continue", "memtrace break list"], ["-p", process.pid])
    assert "memtrace break: the program has a trace function of its own" in result.stdout, result.stdout + result.stderr
