"""`memtrace set` and `show`: one store behind all doors, and in gdb its own settings besides; `$mt1`."""

import json
import re

import pytest

from doors import DOORS, Target, gdb, gdb_door, lldb, lldb_door
from interpreters import SYSTEM
from surroundings import COMMAND, PROGRAMS, gcore, run, running

ORDERS = 1000


@pytest.fixture(scope="module")
def process():
    with running([SYSTEM, PROGRAMS / "orders.py"]) as process:
        yield process


@pytest.fixture(scope="module")
def core(process, tmp_path_factory):
    return gcore(process.pid, tmp_path_factory.mktemp("core") / "core.orders")


def rows(text):
    """Numbers of an answer's rows."""
    return [int(number) for number in re.findall(r"^ *(\d+)  0x", text, re.M)]


def prompt(core, lines):
    """One session of the command line."""
    return run(["sh", "-c", f"printf '%s\\n' \"$@\" | '{COMMAND}' --core '{core}'", "sh", *lines])


def shown(answer):
    return {row["name"]: row["value"] for row in answer.json()["rows"]}


@pytest.mark.parametrize("door", [gdb_door, lldb_door])
def test_set_and_show(door, core):
    target = Target(core=core, executable=SYSTEM)
    asked = ["show --json", "set limit 3", "instances Order", "set lim all", "instances Order", "set values off",
             "show --json", "object py:secret", "show limit"]  # fmt: skip
    first, _, three, _, everything, _, second, hidden, limit = door(target, asked)
    initial = {"limit": "20", "width": "auto", "hints": "on", "values": "on", "variables": "auto"}
    assert shown(first) == initial
    assert rows(three.text) == [1, 2, 3] and len(rows(everything.text)) == ORDERS
    assert shown(second) == {**initial, "limit": "all", "values": "off"}
    assert hidden.text.startswith("str at 0x") and "business" not in hidden.text
    assert re.search(r"^limit +all +N\|all", limit.text, re.M)


@pytest.mark.parametrize("door", DOORS.values())
@pytest.mark.parametrize(
    "line, error",
    [
        ("set", "memtrace set: set what? `memtrace show` lists the settings"),
        ("set limit", "memtrace set: limit takes a number or all, not ``"),
        ("set limit -1", "memtrace set: limit takes a number or all, not `-1`"),
        ("set hints o", "memtrace set: hints takes on or off, not `o`"),
        ("set colour on", "memtrace set: no setting `colour`: there are limit, width, hints, values, variables"),
        ("show x", "memtrace show: no setting `x`: there are limit, width, hints, values, variables"),
    ],
)
def test_wrong_settings(door, line, error):
    if door is not lldb_door:
        answer = door(Target(), [line])[0]
        assert answer.failed and answer.text.strip() == error
    else:
        result = lldb([f"memtrace {line}"])
        assert result.returncode == 1 and f"error: {error}\n" in result.stderr


def test_settings_of_a_session_of_the_command_line(core):
    result = prompt(core, ["set limit 2", "instances Order", "set width 40", "types", "set width 0", "types --json"])
    assert result.returncode == 0, result.stderr
    assert rows(result.stdout) == [1, 2]
    *lines, document = result.stdout.splitlines()
    assert max(map(len, lines[lines.index(next(line for line in lines if "their own" in line)) :])) <= 40
    assert len(json.loads(document)["rows"]) > 20  # a limit of text is none of scripts


def test_settings_without_a_process():
    result = run([COMMAND, "show", "--json"])
    assert result.returncode == 0 and len(json.loads(result.stdout)["rows"]) == 5
    assert run([COMMAND, "set", "limit", "5"]).stdout == ""


def test_gdbs_own_settings(core):
    script = [
        "set memtrace limit 2",
        "memtrace instances Order",
        "with memtrace limit 1 -- memtrace instances Order",
        "show memtrace limit",
        "memtrace set limit 3",
        "show memtrace limit",
        "set memtrace limit x",
        "python print(gdb.parameter('memtrace limit'))",
        "set memtrace hints off",
        "show memtrace",
        "help set memtrace limit",
    ]
    result = gdb(script, ["-c", core, SYSTEM])
    assert rows(result.stdout) == [1, 2, 3]
    said = re.findall(r"^memtrace's limit is (.*)\.$", result.stdout, re.M)
    assert said == ["2", "3"]
    assert "memtrace set: limit takes a number or all, not `x`" in result.stderr
    assert "\n3\n" in result.stdout
    assert re.search(r"^hints +off", result.stdout, re.M)
    assert "It takes a number, all." in result.stdout


def test_gdb_completes_settings_and_types(core):
    lines = ["set memtrace li", "set memtrace hints o", "memtrace set w", "memtrace set variables o",
             "memtrace instances Ord", "memtrace who-holds --type Ord", "memtrace instances builtins.frozens"]  # fmt: skip
    result = gdb(["memtrace types --limit 1", *(f"complete {line}" for line in lines)], ["-c", core, SYSTEM])
    assert result.stdout.splitlines()[-9:] == [
        "set memtrace limit",
        "set memtrace hints off",
        "set memtrace hints on",
        "memtrace set width",
        "memtrace set variables off",
        "memtrace set variables on",
        "memtrace instances Order",
        "memtrace who-holds --type Order",
        "memtrace instances builtins.frozenset",
    ]


# --- rows as variables of the debugger --------------------------------------------------------------------------------


def mapped(pid):
    with open(f"/proc/{pid}/maps") as maps:
        return maps.read()


def test_variables_in_gdb(process):
    result = gdb(["memtrace instances --limit 2 Order", "x/1gx $mt2", "output/x (long)$mt2"], ["-p", process.pid])
    second = re.search(r"^ +2  (0x[0-9a-f]+)", result.stdout, re.M).group(1)
    assert f"{second}:\t0x0000000000000001" in result.stdout and result.stdout.split("\n")[-2].startswith(second)


def test_variables_in_lldb_on_a_core(core):
    again = ["memtrace instances --limit 2 Order", "memory read -c 8 $mt2", "expression $mt3", "expression 6 * 7"]
    result = lldb(["memtrace instances --limit 1 Order", *again], ["-c", core, SYSTEM])
    addresses = dict(re.findall(r"^ +(\d)  (0x[0-9a-f]+)", result.stdout, re.M))
    assert f"{addresses['2']}: 01 00 00 00" in result.stdout, result.stdout + result.stderr
    assert f"$mt3 = {int(addresses['3'], 16)}" in result.stdout
    assert "$0 = 42" in result.stdout  # lldb's own numbers are not used up


@pytest.mark.parametrize("wanted", ["auto", "on", "off"])
def test_variables_in_lldb_on_a_process(process, wanted):
    """On a process only when it is asked for: to declare one, lldb maps memory there."""
    before = mapped(process.pid)
    script = [f"process attach -p {process.pid}", f"memtrace set variables {wanted}",
              "memtrace instances --limit 2 Order", f"script print(open('/proc/{process.pid}/maps').read())",
              "memtrace object 1", "memory read -c 8 $mt2"]  # fmt: skip
    result = lldb(script)
    second = re.search(r"^ +2  (0x[0-9a-f]+)", result.stdout, re.M).group(1)
    read = re.search(rf"^{second}: 01 00 00 00", result.stdout, re.M)
    assert bool(read) == (wanted == "on"), result.stdout + result.stderr
    assert (before.strip() in result.stdout) == (wanted != "on")
