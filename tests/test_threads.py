"""`threads` shows what Python itself says of its threads, and names of Python mean the objects that Python means."""

import json
import re
import subprocess
import sys
import time

import pytest

from doors import DOORS, Target, command_line, command_line_door
from interpreters import EVERYWHERE, MINORS, THOROUGH
from surroundings import PROGRAMS, clean_environment, gcore, running

TRUTH = PROGRAMS / "frames_truth.py"
everywhere = pytest.mark.parametrize("interpreter", EVERYWHERE, ids=str, indirect=True)
every_minor = pytest.mark.parametrize("interpreter", [*THOROUGH, *MINORS], ids=str, indirect=True)
# What `threads` leaves out among a module's globals.
FURNITURE = ("module", "function", "type", "builtin_function_or_method")


def telling(interpreter, tmp_path):
    environment = clean_environment(**dict(interpreter.variables))
    return running([*interpreter.inside, interpreter.path, TRUTH, tmp_path / "truth"], environment)


def truth(tmp_path):
    return json.loads((tmp_path / "truth").read_text())


def ask(target, command):
    (answer,) = command_line_door(target, [command])
    return answer.json()


def variables(frame):
    return {variable["name"]: int(variable["address"], 16) for variable in frame["locals"]}


def check_threads(rows, expected):
    assert [row["number"] for row in rows] == list(range(1, len(rows) + 1))
    assert sorted(row["name"] for row in rows) == sorted(thread["name"] for thread in expected)
    threads = {thread["name"]: thread for thread in expected}
    for row in rows:
        thread = threads[row["name"]]
        assert row["tid"] == thread["tid"] and row["gil"] is False
        assert [frame["number"] for frame in row["frames"]] == list(range(len(row["frames"])))
        places = [[frame["function"], frame["file"], frame["line"]] for frame in row["frames"]]
        assert places == [frame[:3] for frame in thread["frames"]], row["name"]
        for frame, (function, _, _, local) in zip(row["frames"], thread["frames"]):
            if function == "<module>" and row["name"] == "MainThread":
                assert variables(frame).items() <= local.items() and "EXPRESSIONS" in variables(frame)
                assert not any(variable["type"] in FURNITURE for variable in frame["locals"])
            else:
                assert variables(frame) == local, (row["name"], function)


@everywhere
def test_frames_and_variables_are_those_that_python_tells(interpreter, tmp_path):
    with telling(interpreter, tmp_path) as process:
        rows = ask(Target(pid=process.pid), "threads --json")["rows"]
    assert rows[0]["name"] == "MainThread" and len(rows) == 10
    check_threads(rows, truth(tmp_path)["threads"])
    assert sum(len(row["frames"]) for row in rows) > 100


def test_every_door_shows_the_same_of_a_process_and_its_core(tmp_path):
    interpreter = THOROUGH[0]
    interpreter.require()
    with telling(interpreter, tmp_path) as process:
        target = Target(pid=process.pid)
        told = {name: door(target, ["threads --json", "threads --limit 3"]) for name, door in DOORS.items()}
        core = gcore(process.pid, tmp_path / "core")
    told["core"] = command_line_door(Target(core=str(core)), ["threads --json", "threads --limit 3"])
    expected, text = told["memtrace"]
    check_threads(expected.json()["rows"], truth(tmp_path)["threads"])
    for name, answers in told.items():
        assert answers[0].json()["rows"] == expected.json()["rows"], name
        assert answers[1].text.splitlines()[:60] == text.text.splitlines()[:60], name


@every_minor
def test_names_mean_what_they_mean_to_python(interpreter, tmp_path):
    """By gdb, which asks all of them at one stop, and can't pass on what is not ASCII here (LANG=C)."""
    with telling(interpreter, tmp_path) as process:
        expected = {name: address for name, address in truth(tmp_path)["expressions"].items() if name.isascii()}
        commands = [f"object --json py:{name}" for name in expected]
        answers = DOORS["gdb"](Target(pid=process.pid), commands)
    for (name, address), answer in zip(expected.items(), answers):
        assert int(answer.json()["address"], 16) == address, name


@pytest.fixture(scope="module")
def process(tmp_path_factory):
    THOROUGH[0].require()
    directory = tmp_path_factory.mktemp("threads")
    with telling(THOROUGH[0], directory) as process:
        process.truth = truth(directory)
        yield process


def lines(process, *arguments):
    environment = dict(clean_environment(), COLUMNS="80")
    result = command_line(["--pid", process.pid, *arguments], environment)
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


def test_the_answer_fits_the_terminal(process):
    told = lines(process, "threads")
    assert told[0] == "10 Python threads; none has the GIL"
    assert told[1] == f"thread 1 MainThread, tid {process.pid}"
    assert re.fullmatch(r"  0 main \S+/frames_truth\.py:\d+", told[2])
    assert re.fullmatch(r" +\d+  name = str 'handler'", told[3])
    assert max(map(len, told)) <= 80
    assert any(line.endswith("..") for line in told)
    assert re.fullmatch(r"10 threads, 11\d frames", told[-2])


def test_a_limit_is_for_frames_and_variables(process):
    told = lines(process, "threads", "--limit", "2")
    assert "    64 more frames further out" in told
    assert any(re.fullmatch(r" +\d+ more variables", line) for line in told)
    rows = ask(Target(pid=process.pid), "threads --json --limit 2")["rows"]
    (deep,) = [row for row in rows if row["name"] == "deep"]
    assert len(deep["frames"]) == 2 and deep["omitted"] == {"rows": 64, "bytes": 0}


def test_one_thread_alone(process):
    rows = ask(Target(pid=process.pid), "threads --json --thread 5")["rows"]
    assert [row["number"] for row in rows] == [5]


def test_values_can_be_left_out(process):
    told = "\n".join(lines(process, "threads", "--no-values"))
    assert "argument = str\n" in told and "an argument" not in told
    rows = ask(Target(pid=process.pid), "threads --json --no-values")["rows"]
    local = [variable for row in rows for frame in row["frames"] for variable in frame["locals"]]
    assert local and not any("repr" in variable for variable in local)


def test_a_row_s_number_is_an_object(process):
    (threads, found) = DOORS["gdb"](Target(pid=process.pid), ["threads --thread 2", "object --json 2"])
    (name,) = re.findall(r"^ +2  (\w+) = ", threads.text, re.M)
    expected = [frame[3] for thread in process.truth["threads"] for frame in thread["frames"] if name in frame[3]]
    assert int(found.json()["address"], 16) in [local[name] for local in expected]


def resolve(process, *arguments):
    return int(ask(Target(pid=process.pid), "object --json " + " ".join(arguments))["address"], 16)


def test_names_of_other_threads_and_frames(process):
    (frames,) = [thread["frames"] for thread in process.truth["threads"] if thread["name"] == "method"]
    number = [row["number"] for row in ask(Target(pid=process.pid), "threads --json")["rows"] if row["name"] == "method"]
    thread = f"--thread {number[0]}"
    assert frames[1][0].endswith("inner") and frames[3][0].endswith("method")
    assert resolve(process, thread, "py@1:local") == frames[1][3]["local"]
    assert resolve(process, thread, "py@1:cell") == frames[1][3]["cell"]
    assert resolve(process, thread, "--frame", "3", "py:self") == frames[3][3]["self"]
    assert resolve(process, thread, "py@3:cell") == frames[3][3]["argument"]


def test_keys_need_not_be_ascii(process):
    (name,) = [name for name in process.truth["expressions"] if not name.isascii()]
    result = command_line(["--pid", process.pid, "object", "--json", "py:" + name])
    assert int(json.loads(result.stdout)["address"], 16) == process.truth["expressions"][name]


@pytest.mark.parametrize(
    "name, complaint, more",
    [
        ("py:nothing", "no variable `nothing` in main() frames_truth.py:", "whose locals are: name, job, mark"),
        ("py:local", "no variable `local` in main() frames_truth.py:", "whose locals are: name, job, mark"),
        ("--thread 2 py@0:argument", "frame 3 has one: py@3:argument", "no variable `argument` in wait()"),
        ("--thread 99 py:mark", "there is no thread 99: `memtrace threads` shows 1 to 10", ""),
        ("py@9:mark", "there is no frame 9 in thread 1: it has 0 to 1", ""),
        ("--frame 9 py:mark", "there is no frame 9 in thread 1: it has 0 to 1", ""),
        ("py:DERIVED.nothing", "`DERIVED` (Derived) has no attribute `nothing`", ""),
        ("py:DERIVED.made", "`.made` of `DERIVED` is made by a descriptor of Derived", "it has `._made`"),
        ("py:TUPLE[3]", "`TUPLE` (tuple of 3) has no [3]", ""),
        ("py:TUPLE[-4]", "`TUPLE` (tuple of 3) has no [-4]", ""),
        ("py:TUPLE['a']", "`TUPLE` (tuple) has items by number, not ['a']", ""),
        ("py:KEYS['nothing']", "`KEYS` (dict of 10) has no ['nothing']", ""),
        ("py:HOLD[0]", "`HOLD` is of type _thread.lock: items are found in dicts", ""),
        ("py:KEYS['a", "the end of the quoted key is missing at its end", ""),
        ("py:KEYS[1", "`]` is missing at its end", ""),
        ("py:KEYS[]", "an index or a key is missing at `]`", ""),
        ("py:KEYS.", "a name is missing at its end", ""),
        ("py:KEYS word", "`.` or `[` is missing at `word`", ""),
        ("py:", "a name is missing at its end", ""),
        ("py:1", "a name is missing at `1`", ""),
        ("py@x:KEYS", "is no Python name: py:NAME, or py@2:NAME in frame 2", ""),
        ("py:" + "x" * 2000, "no name is that long", ""),
        ("py:KEYS[" + "1" * 2000 + "]", "no key is that long", ""),
    ],
    ids=range(23),
)
def test_what_is_not_there_is_said(process, name, complaint, more):
    options = name.split()[:2] if name.startswith("--") else []
    result = command_line(["--pid", process.pid, "object", *options, name.removeprefix(" ".join(options)).strip()])
    assert result.returncode == 1 and result.stdout == ""
    assert complaint in result.stderr and more in result.stderr
    assert result.stderr.count("\n") == 1


def test_who_has_the_gil(tmp_path):
    program = "print('ready', flush=True)\nwhile True: pass\n"
    with running([sys.executable, "-c", program], ready=None) as process:
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.2)  # it is still in the system call that told us, without the GIL
        (row,) = ask(Target(pid=process.pid), "threads --json")["rows"]
    assert row["gil"] is True


SUBINTERPRETER = """
import threading, time
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
other = interpreters.create()
code = "import time\\ndef inside():\\n    mark = 'of the other'\\n    time.sleep(1000)\\ninside()"
run = getattr(interpreters, "run_string")
threading.Thread(target=run, args=(other, code), daemon=True).start()
time.sleep(1)
print("ready", flush=True)
input()
"""


@pytest.mark.parametrize(
    "interpreter", [one for one in [*THOROUGH, *MINORS] if one.minor > 9], ids=str, indirect=True
)
def test_threads_of_other_interpreters(interpreter):
    with running([*interpreter.inside, interpreter.path, "-c", SUBINTERPRETER]) as process:
        rows = ask(Target(pid=process.pid), "threads --json")["rows"]
    inside = [row for row in rows for frame in row["frames"] if frame["function"] == "inside"]
    assert {row["interpreter"] for row in rows} == {0, inside[0]["interpreter"]}
    assert inside[0]["interpreter"] > 0
    assert [variable["repr"] for variable in inside[0]["frames"][0]["locals"]] == ["'of the other'"]


def test_a_process_without_python_is_refused():
    with subprocess.Popen(["sleep", "1000"]) as process:
        result = command_line(["--pid", process.pid, "threads"])
        process.kill()
    assert result.returncode == 1 and "no CPython in" in result.stderr
