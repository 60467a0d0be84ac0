"""`break --refs-of-next`: the next object of a type is watched from its birth on, in both debuggers; it is the very one
that the program means, and its count is the program's."""

import json

import pytest

from counting import BEFORE, STOP, attached, build_extension, check_balance, named, objects_in
from debuggers import DEBUGGERS
from doors import gdb, lldb
from surroundings import RECORDER, require_program

ROUNDS = 20
# What comes before `one` looks like it, or makes garbage be collected while it is made.
PROGRAM = f"""
import collections, decimal, gc, json, os, queue, signal, sys, threading
signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # gdb stops at it all the same

class Plain:
    def __init__(self, value):
        self.value = value

class Slotted:
    __slots__ = ("value",)
    def __init__(self, value):
        self.value = value

class Table(dict):
    def __init__(self, value):
        self[value] = value

class Number(int):
    pass

class Order(list):
    pass

same = [type("Same", (), {{"__module__": module}}) for module in ("one", "two")]

class Cyclic:
    def __init__(self):
        self.me = self
    def __del__(self):
        Control(Control(1))

class Control(Plain):
    pass

def make(cls):
    return cls("3")

def work():
    while True:
        kept, one = jobs.get()
        kept.extend([one] * 3)
        one = None
        done.put(None)

def stop():
    os.getppid() if sys.argv[2] == "lldb" else signal.raise_signal(signal.SIGUSR1)

def use(cls):
    kept = [(cls, cls), [cls], type("Sub", (cls,), {{}})("3")]
    Cyclic()
    one = make(cls)
    for _ in range(5):
        kept.append(one)
    jobs.put((kept, one))  # another thread's references
    done.get()
    if leaky and cls is Order:
        for _ in range({ROUNDS}):
            leaky.count([one], None)
            leaky.longest([one])
    two = make(cls)
    control = Control(1)
    fact = dict(name=cls.__name__, id=id(one), count=sys.getrefcount(one) - sys.getrefcount(control) + 1)
    facts.write(json.dumps(fact) + "\\n")
    facts.flush()
    stop()

facts = open(sys.argv[3], "w")
leaky = None
if len(sys.argv) > 4:
    import leaky
decimal.Decimal(1)
jobs, done = queue.SimpleQueue(), queue.SimpleQueue()
threading.Thread(target=work, daemon=True).start()
if sys.argv[1] == "-":
    stop()
else:
    print("ready", flush=True)
    open(sys.argv[1]).readline()
for cls in Plain, Slotted, Table, Number, decimal.Decimal, collections.deque, Order:
    gc.set_threshold(1)
    use(cls)
"""
TYPES = ["Plain", "py:Slotted", "Table", "__main__.Number", "decimal.Decimal", "collections.deque", "Order"]


@pytest.fixture(scope="session", autouse=True)
def has_headers():
    require_program("/usr/bin/python3-config")  # of python3-dev


def watched(debugger, interpreter, directory, script, *arguments, **environment):
    facts = directory / "facts"
    output, errors = attached(
        debugger, interpreter, directory, PROGRAM, script, debugger, facts, *arguments,
        **{"LD_PRELOAD": RECORDER, "MEMTRACE_START": 1, **dict(interpreter.variables), **environment},
    )  # fmt: skip
    return output, errors, [json.loads(line) for line in facts.read_text().splitlines()]


# For each of the types.
SCRIPT = []
for word in TYPES:
    SCRIPT += [f"memtrace break --refs-of-next {word}", "memtrace break list --json", "continue"]
    SCRIPT += ["memtrace refs --json", "memtrace break list --json", "memtrace break delete"]


def check_answers(output, errors, facts):
    """The last sheet."""
    answers = objects_in(output)
    assert len(answers) == 3 * len(TYPES) and len(facts) == len(TYPES), output + errors
    flat = output.replace(", made\nin", ", made in")  # the console's width decides
    for fact, pending, sheet, listed in zip(facts, answers[::3], answers[1::3], answers[2::3]):
        (row,) = pending["rows"]
        assert (row["kind"], row["hits"], row["active"]) == ("refs-of-next", 0, True)
        assert row["type"].rpartition(".")[2] == fact["name"] and row["what"].endswith("that is made")
        assert int(sheet["address"], 16) == fact["id"], (fact, output)
        assert (sheet["refcount"], sheet["ended"]) == (fact["count"], None), (fact, sheet)
        assert 1 <= sheet["refcount_at_start"] <= 3 and sheet["lost"] == 0, sheet
        check_balance(sheet)
        (row,) = listed["rows"]
        assert (row["kind"], row["hits"], row["address"]) == ("refs", sheet["changes"], sheet["address"])
        assert row["last"]["text"].startswith(f"watching the {sheet['type']} at {sheet['address']}, made in make ")
        assert row["last"]["address"] == sheet["address"]
        assert f"watching the {sheet['type']} at {sheet['address']}, made in make " in flat
    return sheet


def check_all(debugger, interpreter, directory):
    build_extension(interpreter, directory)
    output, errors, facts = watched(debugger, interpreter, directory, ["go", *SCRIPT], "leaky")
    sheet = check_answers(output, errors, facts)
    functions = {row["function"]: row for row in sheet["functions"] if row["module"].endswith("/leaky.so")}
    counted = {name: (row["increments"], row["decrements"]) for name, row in functions.items()}
    assert counted == {"longest": (ROUNDS, 0), "count": (ROUNDS, ROUNDS)}, output


@pytest.mark.parametrize("debugger", ["gdb", "lldb"])
@pytest.mark.parametrize("interpreter", named("3.11-system"), ids=str, indirect=True)
def test_the_next_object(debugger, interpreter, tmp_path):
    check_all(debugger, interpreter, tmp_path)


MORE = named("3.9-bullseye", "3.12.1-pyenv", "3.13-trixie", "3.14-forky", "3.15-forky")


@pytest.mark.parametrize("interpreter", MORE, ids=str, indirect=True)
def test_the_next_object_on_every_minor(interpreter, tmp_path):
    check_all("gdb", interpreter, tmp_path)


# lldb finds no function of a root's libc to stop at.
@pytest.mark.parametrize("interpreter", named("3.9.18-pyenv", "3.13.0-pyenv"), ids=str, indirect=True)
def test_the_next_object_in_lldb(interpreter, tmp_path):
    check_all("lldb", interpreter, tmp_path)


PYTHONS = {None: [11], "trixie": [13], "forky": [14, 15]}


@pytest.mark.parametrize("debugger, minor", [(one, m) for one in DEBUGGERS for m in PYTHONS[one.suite]], ids=str)
def test_in_every_debugger(debugger, minor, tmp_path):
    """The process that it has started goes on by itself from where the object is found."""
    debugger.require()
    program, facts = tmp_path / "program.py", tmp_path / "facts"
    program.write_text(PROGRAM)
    command = [f"/usr/bin/python3.{minor}", program, "-"]
    if debugger.is_gdb:
        arguments = ["--args", *command, "gdb", facts]
        script = ["set startup-with-shell off", STOP["gdb"], "memtrace record", "run", *SCRIPT]  # no root needs a shell
        result = gdb(script, arguments, root=debugger.inside)
    else:
        script = [*BEFORE["lldb"], f"target create {command[0]}"]
        script += [f"settings set target.run-args {program} - lldb {facts}"]
        script += ["memtrace record", STOP["lldb"], "run", *SCRIPT]
        result = lldb(script, root=debugger.inside, program=debugger.program)
    assert facts.exists(), result.stdout + result.stderr
    told = [json.loads(line) for line in facts.read_text().splitlines()]
    check_answers(result.stdout, result.stderr, told)


def refusals(interpreter, directory, *commands, **environment):
    """In gdb: lldb ends at the first."""
    output, errors, _ = watched("gdb", interpreter, directory, commands, **environment)
    return output, [line for line in errors.splitlines() if "memtrace " in line]


@pytest.mark.parametrize("interpreter", named("3.11-system"), ids=str, indirect=True)
def test_what_is_waited_for_and_what_not(interpreter, tmp_path):
    """A condition that does not hold lets objects pass; what is deleted before it was hit never is."""
    commands = ["Nobody", "py:facts", "Same", "Plain --temporary", "Plain --alloc 3", "Plain --if 0", "Slotted"]
    script = ["memtrace refs", *(f"memtrace break --refs-of-next {words}" for words in commands)]
    script += ["memtrace break --refs py:facts", "go", "continue", "memtrace refs", "memtrace break list --json"]
    script += ["memtrace break delete 1", "memtrace break --refs-of-next Slotted", "memtrace break delete 2", "continue"]
    output, errors = refusals(interpreter, tmp_path, *script)
    assert "watching the" not in output
    (listed,) = objects_in(output)
    (row,) = listed["rows"]
    assert (row["kind"], row["condition"], row["hits"], row["type"]) == ("refs-of-next", "0", 0, "Plain")
    assert row["what"] == "references to the next Plain that is made, if 0"
    waits = "memtrace break: the next object of a type is waited for already: `memtrace break delete 1` first"
    expected = [
        "memtrace refs: no references were counted: `memtrace break --refs ADDR` first",
        "memtrace break: no class is called `Nobody`: `memtrace types` lists them",
        None,
        None,
        "memtrace break: --refs-of-next is about one object: it goes with --if alone",
        "memtrace break: one of --heap, --alloc, --new-peak, --free, --type-count, --refs, --refs-of-next, --line and "
        "--function at a time",
        waits,
        waits,
        "memtrace refs: no Plain was seen to be made yet: continue",
    ]
    assert len(errors) == len(expected), errors
    assert [line for line, wanted in zip(errors, expected) if wanted] == [line for line in expected if line]
    assert errors[2].endswith("is no type: --refs-of-next takes a type, --refs an object")
    assert errors[3].startswith("memtrace break: several classes are called `Same`: ")


@pytest.mark.parametrize("interpreter", named("3.11-system"), ids=str, indirect=True)
def test_no_objects_are_recorded(interpreter, tmp_path):
    _, errors = refusals(interpreter, tmp_path, "memtrace break --refs-of-next Plain", MEMTRACE_LEVEL="heap")
    assert len(errors) == 1 and errors[0].startswith("memtrace break: no objects are recorded, only what malloc"), errors


@pytest.mark.parametrize("interpreter", named("3.11-system"), ids=str, indirect=True)
def test_without_a_hardware_watchpoint_it_stops_and_says_so(interpreter, tmp_path):
    script = ["set can-use-hw-watchpoints 0", "memtrace break --refs-of-next Plain", "go", "continue", "bt 1"]
    output, _ = refusals(interpreter, tmp_path, *script, "memtrace break list --json")
    assert "memtrace break: the debugger gives no hardware watchpoint here" in output
    assert "memtrace_stop_hook" in output and objects_in(output)[0]["rows"] == []
