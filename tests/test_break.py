"""Memory breakpoints: each kind stops at the very event, on its Python line, with exact numbers; in both debuggers, on
every minor version of CPython."""

import json
import os
import re
import time

import pytest

from doors import gdb, lldb
from interpreters import MINORS, THOROUGH
from surroundings import EXAMPLES, PROGRAMS, RECORDER, bare_environment, running

BREAKING = PROGRAMS / "breaking.py"
HOLDING = EXAMPLES / "holding.py"
HOLD = "kept.append(bytearray(size))"  # lines of breaking.py
TAKE = "orders.append(Order(number))"
DEBUGGERS = {"gdb": gdb, "lldb": lldb}
PYTHON = {"gdb": "python", "lldb": "script"}
ATTACH = {"gdb": "attach {}", "lldb": "process attach -p {}"}
WIDE = {"gdb": "set width 0", "lldb": "settings set term-width 1000"}

every_minor = pytest.mark.parametrize("interpreter", [*THOROUGH, *MINORS], ids=str, indirect=True)
both = pytest.mark.parametrize("debugger", list(DEBUGGERS))


def objects_in(output):
    """The JSON objects among what a debugger wrote."""
    return [json.loads(line) for line in output.splitlines() if line.startswith('{"schema"')]


def line_of(path, text):
    lines = path.read_text().splitlines()
    (number,) = (number for number, line in enumerate(lines, 1) if line.strip() == text)
    return number


def stack(path, *frames):
    """A pattern for a stack as answers show it: (function, its line's text) of each frame, innermost first."""
    (function, text), *callers = frames
    first = rf"{function} \S*{re.escape(path.name)}:{line_of(path, text)}"
    return " <- ".join([first, *(rf"{name}:{line_of(path, text)}" for name, text in callers)]) + "$"


def in_breaking(function, text, caller):
    return stack(BREAKING, (function, text), ("main", caller), ("module", "main()"))


def run_debugger(debugger, script, *arguments, **options):
    result = DEBUGGERS[debugger]([WIDE[debugger], *script], *arguments, **options)
    return result.stdout, result.stderr


def refusal(debugger, script, *arguments):
    """What the last command of a script says as it fails, in its one line."""
    _, errors = run_debugger(debugger, script, *arguments)
    return [line for line in errors.splitlines() if "memtrace" in line][-1].replace("error: ", "", 1)


def told(output):
    """The sentences about hits."""
    return [line for line in output.splitlines() if re.match(r"[^{(].* in \S+ \S+\.py:\d+", line) and "born in" not in line]


def with_arguments(debugger, *program):
    return ["--args", *program] if debugger == "gdb" else ["--", *program]


@both
@every_minor
def test_each_kind_stops_at_its_event(interpreter, debugger, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    script = [
        "memtrace born --json py:kept[0]",
        "memtrace break --alloc 40M",
        "memtrace break --heap 60M",
        "memtrace break --free py:kept[0]",
        "memtrace break --type-count Order 500",
        "memtrace break --new-peak --above 80M",
        f"{PYTHON[debugger]} import os; os.write(os.open('{fifo}', os.O_RDWR), b'go\\n')",
        "continue",
        "memtrace status --json",
        "memtrace live --json --limit 1",
        "memtrace break list --json",
        "continue",
        "continue",
        "memtrace object --json py:number",
        "memtrace instances --json --limit 1 Order",
        "continue",
        "memtrace break list --json",
        "continue",
    ]
    recorded = ["/usr/bin/env", f"LD_PRELOAD={RECORDER}", interpreter.path, BREAKING, fifo]
    environment = bare_environment(**dict(interpreter.variables))
    with running([*interpreter.inside, *recorded], environment) as process:
        output, errors = run_debugger(debugger, [ATTACH[debugger].format(process.pid), *script])
        assert process.wait(30) == 0, output + errors
    born, status, live, listed, number, instances, last = objects_in(output)
    more = 33 if interpreter.minor >= 15 else 1  # bytes that a bytearray asks for beyond its own; 3.15: in a bytes object
    expected = [
        rf"40,000,0{more:02} bytes allocated at 0x\w+ in " + in_breaking("hold", HOLD, "hold(40_000_000)"),
        rf"heap passed 60 MB: now 7\d\.\d MB, \+40,000,0{more:02} bytes in " + in_breaking("hold", HOLD, "hold(40_000_000)"),
        rf"the block of {born['size']} bytes at {born['address']} was freed in "
        + in_breaking("drop", "kept.clear()", "drop()"),
        rf"500 instances of Order in .*take_orders(?: \S*)?:{line_of(BREAKING, TAKE)} <- main:",
        rf"90,000,0{more:02} bytes allocated at 0x\w+ in " + in_breaking("hold", HOLD, "hold(90_000_000)"),
        rf"heap passed 60 MB: now 9\d\.\d MB, \+90,000,0{more:02} bytes in " + in_breaking("hold", HOLD, "hold(90_000_000)"),
        rf"new peak: 9\d\.\d MB, \+90,000,0{more:02} bytes in " + in_breaking("hold", HOLD, "hold(90_000_000)"),
    ]
    sentences = told(output)
    assert len(sentences) == len(expected), output + errors
    for sentence, pattern in zip(sentences, expected):
        assert re.match(pattern, sentence), sentence
    rows = {row["kind"]: row for row in listed["rows"]}
    assert {kind: row["hits"] for kind, row in rows.items()} == dict.fromkeys(rows, 0) | {"alloc": 1, "heap": 1}
    hit = rows["heap"]["last"]
    assert hit["live_bytes"] == status["live_bytes"] == live["live_bytes"]
    assert hit["live_bytes"] - hit["net_bytes"] <= 60_000_000 < hit["live_bytes"]
    assert hit["net_bytes"] == hit["size"] == 40_000_000 + more and hit["tid"] == process.pid
    # The first is there from the beginning, the others are numbered from 1 on; the next number may be in the making.
    assert instances["count"] == 500 and number["repr"] in ("499", "500")
    # The 30 MB, 40 MB and 90 MB; a block and a class that were waited for are forgotten with their hit.
    assert {row["kind"]: row["hits"] for row in last["rows"]} == {"alloc": 2, "heap": 2, "new-peak": 1}


def in_duplicate_data():
    copy = "return data * 2 if USE_NUMPY else data.translate(each_byte(lambda byte: byte * 2))"
    last = "return add_scalar(duplicate_data(data_pow), ADD)"
    return stack(HOLDING, ("duplicate_data", copy), ("process_data", last), ("module", "process_data()"))


@both
def test_breakpoints_set_before_run_hold_for_every_run(debugger, python):
    """Exact from the first event on: the example's own allocations are all there is beyond 300 MB."""
    script = [
        "memtrace record",
        "memtrace break --heap 300M",
        "run",
        "memtrace status --json",
        "memtrace break list --json",
        "continue",
        "memtrace break delete 1",
        "memtrace break --temporary --heap 300M",
        "run",
        "memtrace break list --json",
        "continue",
        "memtrace break --json",
    ]
    output, errors = run_debugger(debugger, script, with_arguments(debugger, python, HOLDING))
    sentences = told(output)
    pattern = r"heap passed 300 MB: now 3[01]\d\.\d MB, \+100,000,0\d\d bytes in " + in_duplicate_data()
    assert len(sentences) == 2 and all(re.match(pattern, sentence) for sentence in sentences), output + errors
    status, stopped, again, after = objects_in(output)
    (row,) = stopped["rows"]
    assert row["number"] == row["hits"] == 1 and row["last"]["live_bytes"] == status["live_bytes"]
    assert status["in_flight"] == 0 and status["live_bytes"] == status["peak_bytes"]
    assert again["rows"] == [] == after["rows"]


@both
def test_conditions_are_the_debuggers(debugger, tmp_path, python):
    program = tmp_path / "program.py"
    program.write_text("for size in range(1_000_000, 1_000_010):\n    bytearray(size)\n")
    # The requested size is a word of the event that the hook is told of.
    size = {"gdb": "*(unsigned long *)($rdi + 24)", "lldb": "*(unsigned long *)($rdi + 24)"}[debugger]
    script = [
        "memtrace record",
        f"memtrace break --alloc 1M --json --if {size} == 1000004 + 1",
        "memtrace break --alloc 1000009 --if no_such_name > 1 --json",
        "memtrace break list",
        "run",
        "continue",
        "memtrace break list --json",
        "continue",
    ]
    output, errors = run_debugger(debugger, script, with_arguments(debugger, python, program))
    *_, listed = objects_in(output)
    assert [row["hits"] for row in listed["rows"]] == [1, 1], output + errors
    assert [row["last"]["size"] for row in listed["rows"]] == [1_000_005, 1_000_009]
    assert [row["condition"] for row in listed["rows"]] == [f"{size} == 1000004 + 1", "no_such_name > 1"]
    assert "breakpoint 2: its condition `no_such_name > 1` has no value here" in output


@both
def test_without_a_recording_there_is_nothing_to_wait_for(debugger, python):
    before = with_arguments(debugger, python, "-c", "import signal; signal.raise_signal(signal.SIGINT)")
    assert refusal(debugger, ["memtrace break --heap 1M"], before) == (
        "memtrace break: the next `run` will not record: `memtrace record` first"
    )
    assert refusal(debugger, ["memtrace record", "memtrace break --free 0x1000"], before) == (
        "memtrace break: --free is about something that lives: `run` first"
    )
    assert refusal(debugger, ["run", "memtrace break --heap 1M"], before) == (
        "memtrace break: nothing is recorded in this process: `memtrace record` begins here and now"
    )


REFUSALS = {
    "--heap": "--heap needs a value: --heap SIZE",
    "--heap lots": "--heap takes a size (300M, 300Mi, 1.5G, or bytes), not `lots`",
    "--heap 1M --alloc 1M": "one of --heap, --alloc, --new-peak, --free, --type-count, --refs, --refs-of-next, --line and --function at a time",
    "--heap 1M --above 1M": "--above goes with --new-peak",
    "--type-count Order": "--type-count takes a type and how many instances: --type-count Order 1000",
    "--type-count int 1000": "int is built in: its instances hold no reference to it, so nothing tells that there is "
    "one more; only classes can be waited for",
    "--type-count NoSuch 1": "no class is called `NoSuch`: `memtrace types` lists them",
    "--free 0x10": "0x10 is in no live block that was recorded",
    "--temporary": "one of --heap, --alloc, --new-peak, --free, --type-count, --refs, --refs-of-next, --line and --function at a time",
    "delete 7": "there is no memtrace breakpoint `7`: `memtrace break list`",
}


def test_what_can_not_be_waited_for_is_said(python):
    program = with_arguments("gdb", python, "-c", "import signal; signal.raise_signal(signal.SIGINT)")
    script = ["memtrace record", "run", *(f"memtrace break {words}" for words in REFUSALS)]
    _, errors = run_debugger("gdb", script, program)
    problems = [line.partition(": ")[2] for line in errors.splitlines() if line.startswith("memtrace break")]
    assert problems == list(REFUSALS.values())


ALLOCATING = """
import time
print("ready", flush=True)
while True:
    bytearray(1_000_000)
    time.sleep(0.01)
"""


@pytest.mark.parametrize("end", ["detach", "quit"])
def test_what_gdb_lets_go_of_pays_no_more(end, python):
    def slots(process):
        """Of the image: how many wait for something, and whether the recorder looks at them."""
        words = ["p memtrace_image.stops_state", "p memtrace_image.stops"]
        result = gdb(words, ["-p", process.pid])
        state, stops = re.findall(r"^\$\d+ = (.*)$", result.stdout, re.M)
        return int(state), len(re.findall("kind = [^0]", stops))

    command = [python, "-c", ALLOCATING]
    with running(command, bare_environment(LD_PRELOAD=str(RECORDER))) as process:
        script = [f"attach {process.pid}", "memtrace break --heap 1G", "memtrace break --alloc 1M", "continue"]
        output, errors = run_debugger("gdb", [*script, end])
        assert output.count("1,000,001 bytes allocated at") == 1, output + errors
        time.sleep(0.1)  # some events
        assert slots(process) == (0, 0)


THREADS = """
import threading

def work(number):
    for _ in range(40):
        bytearray(100_000 + number)

threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""


@both
def test_the_thread_is_the_one_that_did_it(debugger, tmp_path, python):
    program = tmp_path / "threads.py"
    program.write_text(THREADS)
    wanted = "*(unsigned long *)($rdi + 24) == 100003 + 1"  # by the fourth thread alone
    script = ["memtrace record", f"memtrace break --alloc 100000 --if {wanted}", "run", *["continue"] * 9]
    script += ["memtrace break list --json", "memtrace status --json"]
    output, errors = run_debugger(debugger, script, with_arguments(debugger, python, program))
    sentences = told(output)
    assert len(sentences) == 10 and len({re.sub("0x\\w+", "", sentence) for sentence in sentences}) == 1, output + errors
    listed, status = objects_in(output)
    assert listed["rows"][0]["hits"] == 10
    assert listed["rows"][0]["last"]["tid"] != status["target"]["pid"] and status["in_flight"] <= 3
