"""A process that a server holds: the same answers as from a local one, by the debugger's own reads, and never by those of
a local process that happens to have the same number."""

import contextlib
import json
import os

import pytest

from consoles import open_console
from doors import DOORS, Target, facts, gdb
from interpreters import EVERYWHERE
from stubs import COMMANDS, CONNECT, PAIRS, free_port, is_listening, server
from surroundings import PROGRAMS, TIMEOUT, clean_environment, running, wait_until, wait_until_asleep

PROGRAM = PROGRAMS / "held_here_and_there.py"
# One of each way in which CPython's state is found and laid out.
CHOSEN = ("3.11-system", "3.9-bullseye", "3.13-trixie", "3.14-forky", "3.15-forky")
INTERPRETERS = [one for one in EVERYWHERE if one.name in CHOSEN]


@contextlib.contextmanager
def connected(debugger, stub, pid):
    """The door to a process through a server, as a function of commands."""
    with server(stub, pid) as address:
        before = [f"{CONNECT[debugger]} {address}"]
        # Else lldb takes the process with it when it ends.
        after = {"after": ["detach"]} if debugger == "lldb" else {}
        yield lambda commands: DOORS[debugger](Target(), commands, before=before, **after)


def addresses(pid):
    """Of some objects, small and large."""
    local = DOORS["memtrace"](Target(pid=pid), [f"instances --json --limit 3 {kind}" for kind in KINDS])
    return [row["address"] for answer in local for row in answer.json()["rows"]]


KINDS = ("Node", "Slots", "deque", "Thread", "module")


@pytest.mark.parametrize("interpreter", INTERPRETERS, ids=str, indirect=True)
def test_same_answers(interpreter):
    with running([*interpreter.inside, interpreter.path, PROGRAM]) as process:
        wait_until_asleep(process)
        commands = [f"{command} --json" for command in ("types", "threads", "audit", "caches", "instances Node")]
        commands += ["instances --json Node", "object --json py@1:wanted", "path --json py@1:wanted"]
        commands += ["who-holds --json py@1:wanted", "who-holds --type Node --json"]
        commands += [f"who-holds --json {address}" for address in addresses(process.pid)]
        expected = [facts(answer) for answer in DOORS["memtrace"](Target(pid=process.pid), commands)]
        assert len(expected) == len(commands)
        for debugger, stub in PAIRS:
            with connected(debugger, stub, process.pid) as ask:
                answers = ask(commands)
            assert len(answers) == len(commands), (debugger, stub, answers[-1].text)
            for command, answer, known in zip(commands, answers, expected):
                assert facts(answer) == known, (debugger, stub, command)
                assert answer.json()["target"]["kind"] == "remote"
                assert answer.json()["warnings"] == []


SEARCHED = ("dict", "tuple", "function", "cell", "float", "method", "Slots", "deque", "Node", "list")
SEARCHED_ON = [one for one in INTERPRETERS if one.minor in (11, 14)]


@pytest.mark.parametrize("interpreter", SEARCHED_ON, ids=str, indirect=True)
def test_the_stub_searches(interpreter, tmp_path):
    """Who holds an object is found by a search, without the heap being read, and as the whole graph has it."""
    with running([*interpreter.inside, interpreter.path, PROGRAM]) as process:
        local = Target(pid=process.pid)
        found = DOORS["memtrace"](local, [f"instances --json --limit 1 {kind}" for kind in SEARCHED])
        asked = [f"who-holds --json {answer.json()['rows'][0]['address']}" for answer in found]
        expected = [facts(answer) for answer in DOORS["memtrace"](local, asked)]
        asked.append("types --json")  # reads all
        (tmp_path / "asked").write_text("\n".join(asked))
        environment = clean_environment(MEMTRACE_ASKED=str(tmp_path / "asked"))
        with server("gdbserver", process.pid) as address:
            script = [f"target remote {address}", f"source {PROGRAMS / 'ask_apart.py'}"]
            result = gdb(script, environment=environment)
    told = [json.loads(line) for line in result.stdout.splitlines() if line.startswith('{"read"')]
    assert len(told) == len(asked), result.stdout + result.stderr
    *answers, whole = told
    for command, answer, known in zip(asked, answers, expected):
        del answer["answer"]["target"], answer["answer"]["warnings"]
        assert answer["answer"] == known, command
    searched = [answer for answer in answers if answer["read"] < 0.75 * whole["read"]]
    assert len(searched) >= 5, [answer["read"] for answer in told]


@pytest.mark.parametrize("debugger, stub", PAIRS)
def test_number_of_a_local_process(debugger, stub, python):
    """The held process has, in its name space, the number of another process that is here."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a name space of processes and choose a number in it")
    port = free_port()
    with running([python, PROGRAM, "3"]) as decoy:
        apart = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", python, SERVED, decoy.pid]
        with running([*apart, *COMMANDS[stub](port, decoy.pid)], ready=None) as served:
            assert served.stdout.readline() == "ready\n"
            wait_until(lambda: is_listening(port), stub)
            before = [f"{CONNECT[debugger]} 127.0.0.1:{port}"]
            answers = DOORS[debugger](Target(), ["instances --json Marker", "audit --json"], before=before)
    marked = answers[0].json()
    assert marked["target"]["pid"] == decoy.pid and marked["target"]["kind"] == "remote"
    assert marked["count"] == 7
    assert answers[1].json()["objects"] > 1000


SERVED = PROGRAMS / "served_in_namespace.py"


def test_ctrl_c_ends_a_long_read(python):
    """What was read is kept, nothing is concluded from what was not, and the estimate is told before."""
    with running([python, PROGRAM, "40000"]) as process:
        expected = facts(DOORS["memtrace"](Target(pid=process.pid), ["types --json"])[0])
        console = open_console("gdb")
        try:
            # Through a pipe gdb reads a megabyte a second.
            console.send(f"target remote | gdbserver --once - --attach {process.pid}\n")
            console.expect(console.prompt, TIMEOUT)
            console.send("memtrace types --json\n")
            # The estimate is in the first line that is told; which one that is depends on how fast the link is.
            console.expect(r"(reading \d+ MB|\d+ of \d+ MB read) from the remote stub, about \d+ s", TIMEOUT)
            console.send("\x03")
            said = console.expect(console.prompt)
            assert "memtrace types: interrupted" in said or '"message":"interrupted"' in said
            assert "Traceback" not in said
            console.send("memtrace types --json\n")
            console.expect(r"memtrace types --json")
            said = console.expect(console.prompt, TIMEOUT)
        finally:
            console.close()
    answer = json.loads(said[said.index('{"schema"') : said.rindex("}") + 1])
    del answer["target"], answer["warnings"]
    assert answer == expected


def ask_and_interrupt(console, address):
    """What lldb answers after a Ctrl-C ended the same question."""
    console.send(f"gdb-remote {address}\n")
    console.expect(r"Process \d+ stopped", TIMEOUT)
    console.send("memtrace types --json\n")
    console.expect(r"(reading \d+ MB|\d+ of \d+ MB read) from the remote stub, about \d+ s", TIMEOUT)
    console.send("\x03")
    said = console.expect(r'"message":"interrupted"', TIMEOUT)
    assert '"rows"' not in said and "Traceback" not in said
    console.expect(console.prompt)
    console.send("memtrace types --json\n")
    console.expect(r"memtrace types --json")
    said = console.expect(r'\{"schema".*\}\s*\n', TIMEOUT)
    console.send("detach\n")
    console.expect("detached", 30)
    return said


@pytest.mark.parametrize("stub", ["lldb-server", "gdbserver"])
def test_ctrl_c_ends_a_long_read_in_lldb(stub, python):
    """Its servers read so fast that it takes a large heap."""
    with running([python, PROGRAM, "1000000"]) as process:
        expected = facts(DOORS["memtrace"](Target(pid=process.pid), ["types --json"])[0])
        with server(stub, process.pid) as address:
            console = open_console("lldb")
            try:
                said = ask_and_interrupt(console, address)
            finally:
                console.close()
    answer = json.loads(said[said.index('{"schema"') : said.rindex("}") + 1])
    del answer["target"], answer["warnings"]
    assert answer == expected
