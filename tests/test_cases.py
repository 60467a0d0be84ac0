"""One case list, three doors, six debuggers, five CPythons: every command answers the same through every door (cases.py).

The command line's answers to a core are compared with what the program knows of itself; each debugger's answers to the
same core, and to the process while it lived, are then compared with the command line's. The text must be the same
at the same width, and say the numbers that JSON says."""

import json
import os
import pathlib
import shutil

import pytest

from cases import ASKED, CASES, MARKS, OF_THE_FILE, PROGRAM, command_table
from debuggers import DEBUGGERS, note
from doors import Target, command_line, command_line_session, gdb_session, lldb_session
from interpreters import EVERYWHERE
from surroundings import RECORDER, clean_environment, gcore, running, wait_until_asleep

WIDTHS = (80, 120)
ROWS = 1000

# One of each minor version that Debian has.
INTERPRETERS = {
    one.name: one
    for one in EVERYWHERE
    if one.name in ("3.9-bullseye", "3.11-system", "3.13-trixie", "3.14-forky", "3.15-forky")
}


def questions(target, facts, widths=WIDTHS):
    """Text at every width, rows counting on; then JSON, where what must fail fails (only a core refuses it)."""
    asked = [(width, case.line(facts)) for width in widths for case in ASKED]
    return asked + [(widths[-1], case.line(facts, "--json")) for case in (CASES if target.core else ASKED)]


def sorted_out(texts, widths=WIDTHS):
    """({width: texts of ASKED}, answers in JSON)"""
    count = len(ASKED)
    told = {width: texts[index * count : (index + 1) * count] for index, width in enumerate(widths)}
    return told, [json.loads(text) for text in texts[len(widths) * count :]]


def ask_command_line(target, facts):
    told = {}
    for width in WIDTHS:
        # The rows of the second width are numbered behind those of the first: so the first comes before it here too.
        asked = [(width, line) for _, line in questions(target, facts)]
        texts, answers = sorted_out(command_line_session(target, asked))
        told[width] = texts[width]
    return told, answers


def ask_debugger(debugger, target, facts, widths=WIDTHS):
    asked = questions(target, facts, widths)
    if debugger.is_gdb:
        return sorted_out(gdb_session(target, asked, debugger.inside), widths)
    return sorted_out(lldb_session(target, asked, debugger.inside, debugger.program), widths)


def copy_files(pid, directory):
    """Whatever files are mapped into the process, side by side: all that a core needs on another machine."""
    directory.mkdir()
    for mapped in pathlib.Path(f"/proc/{pid}/map_files").iterdir():
        name = os.readlink(mapped)
        copy = directory / os.path.basename(name)
        if not copy.exists() and not name.endswith(" (deleted)"):
            shutil.copyfile(mapped, copy)


def live_debuggers(interpreter):
    """Those of its suite; where there are none this machine's come from outside."""
    return [debugger for debugger in DEBUGGERS if debugger.suite == interpreter.suite] or [
        debugger for debugger in DEBUGGERS if debugger.suite is None
    ]


class Story:
    """A process, what it told of itself, its core, and what debuggers said of it while it lived."""

    def __init__(self, interpreter, directory):
        self.interpreter = interpreter
        # Only the first program of an environment is recorded: not the one that leads into a root.
        program = [*interpreter.inside, "/usr/bin/env", f"LD_PRELOAD={RECORDER}", "MALLOC_ARENA_MAX=1"]
        environment = clean_environment(**dict(interpreter.variables))
        with running([*program, interpreter.path, PROGRAM], environment, ready=None) as process:
            self.facts = json.loads(process.stdout.readline())
            self._hear_ready(process)
            for mark in MARKS:
                marked = command_line(["--pid", process.pid, "mark", mark])
                assert marked.returncode == 0, marked.stderr
                process.stdin.write("x")
                process.stdin.flush()
                self._hear_ready(process)
            executable = os.path.basename(os.readlink(f"/proc/{process.pid}/exe"))
            copy_files(process.pid, directory / "files")
            # By the gdb of its own suite: before 18 gdb leaves out what shares a mapping with a guard page of glibc 2.42.
            self.core = str(gcore(process.pid, directory / "core", live_debuggers(interpreter)[0].inside))
            self.copied = Target(core=self.core, executable=str(directory / "files" / executable))
            self.texts, self.answers = ask_command_line(self.copied, self.facts)
            self.live = {
                debugger: ask_debugger(debugger, Target(pid=process.pid), self.facts, WIDTHS[:1])
                for debugger in live_debuggers(interpreter)
            }

    @staticmethod
    def _hear_ready(process):
        assert process.stdout.readline() == "ready\n"
        wait_until_asleep(process)

    def target_for(self, debugger):
        """Its own program where both live in one suite; else a copy, with the libraries beside it."""
        if debugger.suite == self.interpreter.suite:
            return Target(core=self.core, executable=self.interpreter.path)
        return self.copied


@pytest.fixture(scope="module", params=INTERPRETERS.values(), ids=str)
def story(request, tmp_path_factory):
    interpreter = request.param
    interpreter.require()
    for debugger in live_debuggers(interpreter):
        debugger.require()
    directory = tmp_path_factory.mktemp(f"cases-{interpreter}")
    yield Story(interpreter, directory)
    shutil.rmtree(directory)


def test_every_command_has_cases():
    assert len(INTERPRETERS) == 5
    assert {case.command for case in CASES} == set(command_table())
    assert {case.command for case in CASES if case.golden or case.refused} == set(command_table())


def test_facts_of_the_program(story):
    assert story.facts["version"].startswith(f"3.{story.interpreter.minor}.")
    assert max(len(answer["rows"]) for answer in story.answers if "rows" in answer) >= ROWS
    for case, answer in zip(CASES, story.answers):
        if case.refused:
            assert case.refused in answer["error"]["message"] and answer["error"]["code"] == "unsupported", str(case)
            continue
        assert "error" not in answer, (str(case), answer)
        assert answer["warnings"] == [], str(case)
        if case.golden:
            found, expected = case.golden(answer, story.facts)
            assert found == expected, str(case)


def test_text_says_what_json_says(story):
    answers = dict(zip(CASES, story.answers))
    for width in WIDTHS:
        for case, text in zip(ASKED, story.texts[width]):
            for total in case.totals:
                found, expected = total(text, answers[case])
                assert found == expected, (str(case), width)


def check(told, story, widths, known_of=lambda answer: answer, left_out=lambda case: False):
    texts, answers = told
    for case, answer, known in zip(CASES, answers, story.answers):
        assert left_out(case) or known_of(answer) == known_of(known), str(case)
    for width in widths:
        for case, text, known in zip(ASKED, texts[width], story.texts[width]):
            assert left_out(case) or text == known, (str(case), width)


@pytest.mark.parametrize("debugger", DEBUGGERS, ids=str)
def test_core(story, debugger):
    debugger.require()
    check(ask_debugger(debugger, story.target_for(debugger), story.facts), story, WIDTHS)
    note(debugger, "cores of", story.facts["version"])


def without_the_file(answer):
    target = {name: value for name, value in answer["target"].items() if name not in OF_THE_FILE}
    return {**answer, "target": target}


def test_live(story):
    assert story.live
    for debugger, told in story.live.items():
        check(told, story, WIDTHS[:1], without_the_file, lambda case: case.of_the_file)
        note(debugger, "live", story.facts["version"])
