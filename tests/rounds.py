"""Rounds of recording a process that already runs, at random moments, through one door on one interpreter: each ends
recorded or clearly refused, and the process with the output that it would have had.

What lldb does by itself is counted apart: a round in which it did not even attach, and no code of ours ran, is played
again.
"""

import collections
import contextlib
import dataclasses
import os
import pathlib
import random
import re
import signal
import subprocess
import time

from debuggers import DEBUGGERS
from doors import GDB_ADAPTER, LLDB_ADAPTER
from interpreters import EVERYWHERE
from surroundings import COMMAND, PROGRAMS, TIMEOUT, bare_environment, clean_environment, run, wait_until

RESTLESS = PROGRAMS / "restless.py"
THREADS = 4
INTERPRETERS = {one.minor: one for one in EVERYWHERE if one.name in ("3.11-system", "3.13-trixie", "3.14-forky")}
BEGUN, ENDED = "recording, level", "recording has ended"
NOT_ATTACHED = "error: attach failed: "  # lldb's words
ATTEMPTS = 10

# The summary of a run: what became of each cell's rounds, and of the processes whose debugger was killed.
played = {}
survived = collections.Counter()


@dataclasses.dataclass(frozen=True)
class Cell:
    """One interpreter and one door to it. In a root the debuggers are the root's own."""

    minor: int
    door: str  # gdb, lldb, or memtrace: the command line with --pid

    def __str__(self):
        return f"3.{self.minor}-{self.door}"

    @property
    def interpreter(self):
        return INTERPRETERS[self.minor]

    @property
    def debugger(self):
        return next(
            one
            for one in DEBUGGERS
            if one.suite == self.interpreter.suite and self.door in one.program and one.is_gdb == (self.door == "gdb")
        )

    def require(self):
        self.interpreter.require()
        if self.door != "memtrace":
            self.debugger.require()

    def commands(self, pid, *words, script=None):
        """One of a debugger; one for each of `words` of the command line. `script` is gdb's, sourced first."""
        if self.door == "memtrace":
            return [[str(COMMAND), "--pid", str(pid), *one.split()] for one in words]
        program = self.debugger.program
        # In the process's own root: another of the same suite is another name space, where its files have other names.
        inside = ["nsenter", "--target", str(pid), "--mount", "--root", "--wd"] if self.interpreter.suite else []
        if self.door == "gdb":
            first = [program, "-nx", "-batch", "-iex", "set debuginfod enabled off", "-ex", f"source {GDB_ADAPTER}"]
            first += ["-ex", f"source {script}"] if script else []
            parts = ["-p", str(pid), *(part for one in words for part in ("-ex", f"memtrace {one}"))]
        else:
            first = [program, "-x", "-X", "-b", "-o", f"command script import {LLDB_ADAPTER}"]
            lines = [f"process attach -p {pid}", *(f"memtrace {one}" for one in words)]
            parts = [part for line in lines for part in ("-o", line)]
        return [[*inside, *first, *parts]]


@dataclasses.dataclass
class Tally:
    """What became of a cell's rounds."""

    rounds: int = 0
    recorded: int = 0
    refused: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    not_attached: int = 0  # by lldb alone; played again
    seconds: float = 0.0

    def __str__(self):
        text = f"{self.rounds} rounds, {self.recorded} recorded, {sum(self.refused.values())} refused"
        text += f", {self.seconds / max(self.rounds, 1):.2f} s each"
        if self.not_attached:
            text += f"; lldb did not attach {self.not_attached} times more"
        return text + "".join(f"\n    {count} x {reason}" for reason, count in self.refused.items())


class Restless:
    """A process at work; its end is asked for by the end of its standard input."""

    def __init__(self, interpreter):
        self._process = subprocess.Popen(
            [*interpreter.inside, interpreter.path, str(RESTLESS)],
            env=bare_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.pid = self._process.pid

    def __enter__(self):
        tasks = pathlib.Path(f"/proc/{self.pid}/task")
        wait_until(lambda: len(list(tasks.iterdir())) == THREADS, "all threads to work")
        return self

    def __exit__(self, *problem):
        self._process.kill()
        self._process.communicate()

    def end(self):
        """(status, output, errors); without an end it is looked at, and what it was seen doing is in the errors."""
        try:
            output, errors = self._process.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            return None, "", f"it hangs: {self.state()}\n{self.stacks()}"
        return self._process.returncode, output, errors

    def go_on(self):
        """Its children too: one that it was forking when gdb was killed stands still, as gdb's own doing."""
        for pid in [self.pid, *children_of(self.pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def state(self):
        """Of each thread: what it does, who traces it, and the system call that it is in."""
        told = []
        for task in pathlib.Path(f"/proc/{self.pid}/task").glob("*"):
            try:
                lines = (task / "status").read_text().splitlines()
                call = (task / "syscall").read_text().strip()
            except OSError as problem:
                call, lines = str(problem), []
            names = ("State", "TracerPid", "SigPnd", "SigBlk")
            facts = [" ".join(line.split()) for line in lines if line.startswith(names)]
            told.append(f"{task.name}: {', '.join(facts)}, call {call}")
        return "\n".join(told)

    def stacks(self):
        asked = ["-p", str(self.pid), "-ex", "thread apply all backtrace", "-ex", "info sharedlibrary"]
        result = run(["gdb", "-nx", "-batch", "-iex", "set debuginfod enabled off", *asked])
        return result.stdout + result.stderr


def expected_line(interpreter):
    result = run([*interpreter.inside, interpreter.path, RESTLESS], bare_environment())
    assert result.returncode == 0 and result.stdout.count("=") == THREADS, result.stdout + result.stderr
    return result.stdout


def ask(command, process):
    """What the debugger said; that it hangs or dies ends the test with all that is known."""
    try:
        result = run(command)
    except subprocess.TimeoutExpired as expired:
        texts = (expired.stdout or b"", expired.stderr or b"")
        said = "".join(text if isinstance(text, str) else text.decode("utf-8", "replace") for text in texts)
        raise AssertionError(f"{command[0]} hangs, having said:\n{said}\n{process.state()}") from None
    said = result.stdout + result.stderr
    assert result.returncode >= 0, f"{command} was ended by signal {-result.returncode}:\n{said}\n{process.state()}"
    return said


def refusal_in(said):
    """The one line that says why it was not recorded, without the numbers of this process; None: there is none."""
    found = re.findall(r"^(?:error: )?(memtrace record.*)", said, flags=re.M)
    return re.sub(r"(process|thread|--pid) \d+", r"\1 N", found[0]) if found else None


def check_end(cell, process, expected, number, said):
    ended = process.end()
    assert ended == (0, expected, ""), f"{cell}, number {number}: it ended with {ended}; the debugger said:\n{said}"


def play_round(cell, number, chance, expected, tally):
    """False: lldb did not attach."""
    with Restless(cell.interpreter) as process:
        time.sleep(0.5 * chance.random())
        began = time.monotonic()
        # Recording ends where it began, or, every fourth time, after the process ran on.
        words = ["record", "record stop"]
        apart = cell.door == "memtrace" or number % 4 == 0
        groups = [[one] for one in words] if apart else [words]
        said = ""
        for group in groups:
            for command in cell.commands(process.pid, *group):
                said += ask(command, process)
            time.sleep(0.1 * chance.random())
        seconds = time.monotonic() - began
        check_end(cell, process, expected, number, said)
    if BEGUN not in said and NOT_ATTACHED in said:
        tally.not_attached += 1
        return False
    tally.rounds += 1
    tally.seconds += seconds
    if BEGUN in said and ENDED in said:
        tally.recorded += 1
        return True
    reason = refusal_in(said)
    assert reason, f"{cell}, round {number}: neither recorded nor refused:\n{said}"
    tally.refused[reason] += 1
    return True


def play(cell, rounds):
    """The tally of so many rounds."""
    expected = expected_line(cell.interpreter)
    tally = played.setdefault(str(cell), Tally())
    chance = random.Random(f"{cell} {tally.rounds}")
    for number in range(rounds):
        for _ in range(ATTEMPTS):
            if play_round(cell, number, chance, expected, tally):
                break
        else:
            raise AssertionError(f"{cell}, round {number}: lldb did not attach {ATTEMPTS} times")
    return tally


# --- killed debuggers -------------------------------------------------------------------------------------------------


def children_of(pid):
    """Whichever of its threads made them."""
    found = []
    for children in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += map(int, children.read_text().split())
    return found


def is_tracer(pid):
    """lldb's server is a process of its own: it ends when it finds that lldb is gone."""
    try:
        return b"lldb-server" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def seconds_of(cell):
    """How long the whole of it takes, from the debugger's start to its end."""
    for _ in range(ATTEMPTS):
        with Restless(cell.interpreter) as process:
            began = time.monotonic()
            said = ask(cell.commands(process.pid, "record")[0], process)
            if BEGUN in said:
                return time.monotonic() - began
    raise AssertionError(f"{cell}: not recorded in {ATTEMPTS} attempts:\n{said}")


def play_kills(cell, rounds):
    """The debugger is killed while it attaches, records or leaves: the process, resumed, ends right."""
    expected = expected_line(cell.interpreter)
    chance = random.Random(f"{cell} killed {survived[str(cell)]}")
    span = seconds_of(cell)
    null = subprocess.DEVNULL
    for number in range(rounds):
        with Restless(cell.interpreter) as process:
            time.sleep(0.3 * chance.random())
            command = cell.commands(process.pid, "record")[0]
            moment = span * chance.random()
            debugger = subprocess.Popen(command, stdin=null, stdout=null, stderr=null, env=clean_environment())
            time.sleep(moment)
            helpers = children_of(debugger.pid)
            debugger.kill()
            debugger.wait(TIMEOUT)
            before = process.state()
            wait_until(lambda: not any(map(is_tracer, helpers)), "the debugger's server to end")
            process.go_on()
            check_end(cell, process, expected, number, f"(killed after {moment:.3f} of {span:.3f} s)\n{before}")
        survived[str(cell)] += 1


def play_kill_at(cell, moment):
    """gdb kills itself at that moment (programs/kill_gdb_at.py). False: it was over before."""
    expected = expected_line(cell.interpreter)
    with Restless(cell.interpreter) as process:
        command = cell.commands(process.pid, "record", script=PROGRAMS / "kill_gdb_at.py")[0]
        result = run(command, {**clean_environment(), "KILL_AT": moment})
        said = result.stdout + result.stderr
        assert result.returncode == -signal.SIGKILL or BEGUN in said, said
        process.go_on()
        check_end(cell, process, expected, moment, said)
    return result.returncode != 0
