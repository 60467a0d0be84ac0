"""The tutorials' commands, run; what they print is what docs/ shows, but for numbers that differ from run to run.

A comment `<!-- session: KIND ... -->` in a tutorial begins a session; the console blocks up to the next one belong to it.
KIND is gdb or lldb (of a program that stops itself), core (of a program that waits where it would have stopped), command.
"""

import re
import shlex
import subprocess

import pytest

from doors import Target, gdb_door, lldb_door
from surroundings import COMMAND, PROGRAMS, ROOT, TIMEOUT, gcore, run, running

DOCS = ROOT / "docs"
TUTORIALS = sorted(DOCS.glob("tutorial-*.md"))
PYTHON = "/usr/bin/python3"
PROMPT = re.compile(r"^(?:\((?:gdb|lldb|memtrace)\)|\$) (.*)$")
# What does not differ from run to run: sizes of the data themselves, and places in files.
STEADY = re.compile(
    r"312,500|311,000|\b750\b|958000|100,000,\d\d\d|400\.0 MB|200\.0 MB|:\d+\b|frame \d+|thread 1\b|row \d+|refcount [\d,]+ = [\d,]+ found"
)


def sessions():
    for path in TUTORIALS:
        parts = re.split(r"<!-- session: (.*?) -->", path.read_text())
        for what, text in zip(parts[1::2], parts[2::2]):
            blocks = re.findall(r"```console\n(.*?)```", text, re.S)
            yield pytest.param(what, "".join(blocks), id=f"{path.stem}: {what}")


def steps_of(text):
    """[(command, what it prints)]"""
    steps = []
    for line in text.splitlines():
        prompt = PROMPT.match(line)
        if prompt:
            steps.append((prompt.group(1), []))
        elif steps:
            steps[-1][1].append(line)
    return [(command, "\n".join(lines)) for command, lines in steps]


def likeness(text):
    """The text with everything that may differ taken out, as lines of words."""
    # Of a long path the last folders are shown: how many depends on the rest of the line.
    text = re.sub(r"[^\s`'\"]*\bexamples/", "examples/", text)
    text = re.sub(r"0x[0-9a-f]+(\.\.)?", "ADDRESS", text)
    kept = []

    def keep(match):
        kept.append(match.group())
        return f"\0{len(kept) - 1}\0"

    text = STEADY.sub(keep, text)
    text = re.sub(r"(?<!\0)[+-]?\d[\d,.]*(?!\0)", "N", text)
    text = re.sub(r"\0(\d+)\0", lambda match: kept[int(match.group(1))], text)
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def check(shown, printed):
    """What is shown is what is printed; a tutorial may show the first lines alone."""
    want, have = likeness(shown), likeness(printed)
    assert have[: len(want)] == want


def memtrace_steps(steps):
    return [
        (command.removeprefix("memtrace "), shown) for command, shown in steps if shown and not command.startswith("build/")
    ]


def run_in_debugger(door, words, steps):
    steps = memtrace_steps(steps)
    asked = [step for step in steps if step[0] != "record"]
    before = ["memtrace record"] * (len(asked) < len(steps)) + ["run"]
    answers = door(Target(program=(PYTHON, *words)), [command for command, _ in asked], before=before)
    assert not answers[-1].failed, answers[-1].text
    for (_, shown), answer in zip(asked, answers):
        check(shown, answer.text)


def run_on_core(words, steps, directory):
    program = [PYTHON, PROGRAMS / "at_the_pause.py", words[0], "100_000_000", *words[1:]]
    with running(program, cwd=ROOT) as process:
        core = gcore(process.pid, directory / "core")
    script = printed = ""
    for command, shown in memtrace_steps(steps):
        script += command + "\n"
        result = subprocess.run([COMMAND, "--core", core], input=script, capture_output=True, text=True, timeout=TIMEOUT)
        assert result.returncode == 0, result.stderr
        check(shown, result.stdout.removeprefix(printed))
        printed = result.stdout


def run_commands(steps):
    for command, shown in steps:
        words = shlex.split(command)
        result = run([ROOT / words[0] if words[0] != "build/memtrace" else COMMAND, *words[1:]], cwd=ROOT)
        assert result.returncode == 0, result.stderr
        check(shown, result.stdout + result.stderr)


@pytest.mark.parametrize("what, text", sessions())
def test_tutorial(what, text, tmp_path, monkeypatch):
    kind, *words = what.split()
    steps = steps_of(text)
    monkeypatch.chdir(ROOT)
    if kind in ("gdb", "lldb"):
        run_in_debugger({"gdb": gdb_door, "lldb": lldb_door}[kind], words, steps)
    elif kind == "core":
        run_on_core(words, steps, tmp_path)
    else:
        run_commands(steps)


def test_there_are_tutorials():
    assert len(TUTORIALS) >= 1
    assert all("<!-- session: " in path.read_text() for path in TUTORIALS)
