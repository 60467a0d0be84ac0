"""A stopped program with its truth, and memtrace's answers about it: many questions go through one session."""
import collections
import contextlib
import json
import pathlib
import subprocess

import pytest

from surroundings import COMMAND, TIMEOUT, clean_environment, gcore, run, running
from truth_file import Truth

HERE = pathlib.Path(__file__).resolve().parent
compared = collections.Counter()  # (what, interpreter) -> comparisons that were made


def require_commands(*names):
    """Skips where the built command line does not have them yet."""
    told = run([COMMAND, "help"]).stdout
    missing = [name for name in names if not any(line.split()[:1] == [name] for line in told.splitlines())]
    if missing:
        pytest.skip(f"{COMMAND} has no command {', '.join(missing)}")


def has_numpy(interpreter):
    return run([*interpreter.inside, interpreter.path, "-c", "import numpy"]).returncode == 0


@contextlib.contextmanager
def examined(interpreter, directory, program, *arguments):
    """A program of this folder, stopped, with the truth about it."""
    path = directory / "truth"
    environment = clean_environment(PYTHONDONTWRITEBYTECODE="1", **dict(interpreter.variables))
    command = [*interpreter.inside, interpreter.path, HERE / program, path, *arguments]
    with running(command, environment):
        exam = Exam(Truth(path), directory / "core")
        path.unlink()
        try:
            yield exam
        finally:
            exam.core.unlink(missing_ok=True)


class Exam:
    def __init__(self, truth, core):
        self.truth = truth
        self.core = core  # made when it is needed first

    def ask(self, questions):
        """The answers to command lines, parsed, in their order: of one session, in which the process stands still. An
        error is an answer too: it has the key "error"."""
        return self._answers(["--pid", str(self.truth.pid)], questions)

    def ask_core(self, questions):
        """Likewise, of a core that gdb writes of the process."""
        if not self.core.exists():
            gcore(self.truth.pid, self.core)
        return self._answers(["--core", str(self.core)], questions)

    def _answers(self, target, questions):
        result = subprocess.run(
            [str(COMMAND), *target],
            env=clean_environment(),
            input="".join(question + "\n" for question in questions),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            timeout=5 * TIMEOUT,
        )
        answers = [json.loads(line) for line in result.stdout.splitlines()]
        assert len(answers) == len(questions), f"{len(answers)} answers to {len(questions)}: {result.stderr[-1000:]}"
        return answers

    def ask_about(self, command, addresses):
        """{address: answer} of a command that takes an address."""
        addresses = list(addresses)
        return dict(zip(addresses, self.ask([f"{command} --json {address:#x}" for address in addresses])))


def targets(answer, *kinds, counted=False):
    """Counter of the addresses in an answer's rows of these kinds; or only of those that are counted references."""
    found = collections.Counter()
    for row in answer.get("rows", ()):
        is_wanted = row["kind"] in kinds and (row["counted"] or not counted)
        if is_wanted and row.get("address") is not None:
            found[int(row["address"], 16)] += row["count"]
    return found


def links(answer):
    """The set of (link, address) of an answer's rows."""
    return {(row["link"], int(row["address"], 16)) for row in answer.get("rows", ()) if row.get("address") is not None}


def asked_name(type_name):
    """A type as people write it."""
    module, _, name = type_name.partition(".")
    return name if module in ("builtins", "__main__") else type_name
