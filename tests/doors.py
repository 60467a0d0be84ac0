"""The three doors, driven alike: gdb, lldb and the command line, each given the same commands on the same target.

A door is a function of (target, commands, options) and answers with a list of Answer, one a command, up to and
including the first that failed.
"""

import dataclasses
import json
import re
import tempfile

from surroundings import COMMAND, LLDB, ROOT, TIMEOUT, clean_environment, run

GDB_ADAPTER = ROOT / "gdb/memtrace.py"
LLDB_ADAPTER = ROOT / "lldb/memtrace_lldb.py"

MARK = "=== memtrace test mark"


@dataclasses.dataclass
class Answer:
    text: str  # an answer's text, or an error's line
    failed: bool

    def json(self):
        assert not self.failed, self.text
        return json.loads(self.text)


@dataclasses.dataclass
class Target:
    """One of a pid, a core (with its executable), or a program to be run; none at all: the debugger alone."""

    pid: int = None
    core: str = None
    executable: str = None
    program: tuple = ()


def gdb(script, arguments=(), environment=None, root=(), timeout=TIMEOUT):
    """gdb in batch mode, with the adapter, without anybody's settings. `root`: the command that leads into a root."""
    command = [*root, "gdb", "-nx", "-batch", "-iex", "set debuginfod enabled off", "-iex", "set startup-with-shell on"]
    for line in (f"source {GDB_ADAPTER}", *script):
        command += ["-ex", line]
    return run([*command, *arguments], environment, timeout)


def lldb(script, arguments=(), environment=None, root=(), program=LLDB, timeout=TIMEOUT):
    """lldb in batch mode, likewise."""
    command = [*root, program, "-x", "-X", "-b"]
    for line in (f"command script import {LLDB_ADAPTER}", *script):
        command += ["-o", line]
    return run([*command, *arguments], environment, timeout)


def command_line(arguments, environment=None, root=()):
    return run([*root, COMMAND, *arguments], environment)


def gdb_door(target, commands, width=80, environment=None, root=(), before=()):
    script = [f"set width {width}", *before]
    arguments = []
    if target.pid is not None:
        arguments = ["-p", target.pid]
    elif target.core is not None:
        arguments = [*([target.executable] if target.executable else []), "-c", target.core]
    elif target.program:
        arguments = ["--args", *target.program]
    for command in commands:
        script += [f"echo {MARK}\\n", f"memtrace {command}"]
    result = gdb(script, arguments, environment, root)
    texts = result.stdout.split(MARK + "\n")[1:]
    # At its end gdb lets the process go, and says so.
    answers = [Answer(re.sub(r"^\[Inferior .*\]\n", "", text, flags=re.M), False) for text in texts]
    # gdb goes on after a failed command: the errors are lines of stderr, and the status is that of the last command.
    errors = [line for line in result.stderr.splitlines() if line.startswith("memtrace")]
    for answer in answers:
        if errors and (answer.text == "" or '"error":' in answer.text):
            answer.text, answer.failed = answer.text or errors[0], True
            errors.pop(0)
    assert len(answers) == len(commands), result.stderr + result.stdout
    assert bool(result.returncode) == answers[-1].failed, (result.returncode, result.stdout, result.stderr)
    return answers


def lldb_door(target, commands, width=80, environment=None, root=(), before=(), after=()):
    script = [f"settings set term-width {width}", *before]
    arguments = []
    if target.pid is not None:
        script = [f"process attach -p {target.pid}", *script]
    elif target.core is not None:
        arguments = ["-c", target.core, *([target.executable] if target.executable else [])]
    elif target.program:
        arguments = ["--", *target.program]
    script += [*(f"memtrace {command}" for command in commands), *after]
    result = lldb(script, arguments, environment, root)
    # lldb writes each command before its output.
    texts = re.split(r"^\(lldb\) memtrace .*\n", result.stdout, flags=re.M)
    asked_before = sum(line.startswith("memtrace") for line in before)
    answers = [Answer(re.split(r"^\(lldb\) ", text, flags=re.M)[0], False) for text in texts[1 + asked_before :]]
    assert answers, result.stdout + result.stderr
    if result.returncode:
        errors = [line for line in result.stderr.splitlines() if "memtrace" in line or "error" in line]
        answers[-1] = Answer(re.sub("^error: ", "", answers[-1].text or "\n".join(errors)), True)
    return answers


def command_line_door(target, commands, width=80, environment=None, root=()):
    where = []
    if target.pid is not None:
        where = ["--pid", target.pid]
    elif target.core is not None:
        where = ["--core", target.core, *(["--exe", target.executable] if target.executable else [])]
    environment = dict(clean_environment() if environment is None else environment, COLUMNS=str(width))
    answers = []
    for command in commands:
        result = command_line([*where, *command.split()], environment, root)
        answers.append(Answer(result.stdout or result.stderr.strip(), result.returncode != 0))
        if result.returncode:
            break
    return answers


# --- many questions, one session ----------------------------------------------------------------------------------
#
# `asked`: (width, command) of each question; the answers are texts alone. A question that fails is asked with --json,
# and does not end the session.


def gdb_session(target, asked, root=()):
    script = []
    for width, command in asked:
        script += [f"set width {width}", f"echo {MARK}\\n", f"memtrace {command}"]
    arguments = ["-p", target.pid] if target.pid is not None else [target.executable, "-c", target.core]
    result = gdb(script, arguments, root=root)
    texts = re.sub(r"^\[Inferior .*\]\n", "", result.stdout, flags=re.M).split(MARK + "\n")[1:]
    assert len(texts) == len(asked), result.stderr + result.stdout[-1000:]
    return texts


def lldb_session(target, asked, root=(), program=LLDB):
    with tempfile.NamedTemporaryFile("w", prefix="memtrace-questions-") as file:
        for width, command in asked:
            file.write(f"settings set term-width {width}\nmemtrace {command}\n")
        file.flush()
        script, arguments = [f"command source -e false {file.name}"], []
        if target.pid is not None:
            script = [f"process attach -p {target.pid}", *script]
        else:
            arguments = ["-c", target.core, target.executable]
        result = lldb(script, arguments, root=root, program=program)
    # lldb writes each command before its output.
    parts = re.split(r"^\(lldb\) (.*)\n", result.stdout, flags=re.M)
    texts = [text for command, text in zip(parts[1::2], parts[2::2]) if command.startswith("memtrace ")]
    assert len(texts) == len(asked), result.stderr + result.stdout[-1000:]
    return texts


def command_line_session(target, asked, root=()):
    """The width is that of the last question: it is the environment's."""
    where = ["--pid", target.pid] if target.pid is not None else ["--core", target.core, "--exe", target.executable]
    between = "help help --json"
    lines = "".join(f"{command}\n{between}\n" for _, command in asked)
    environment = clean_environment(COLUMNS=str(asked[-1][0]))
    with tempfile.TemporaryFile("w+") as script:
        script.write(lines)
        script.seek(0)
        result = run([*root, COMMAND, *where], environment, stdin=script)
    texts = re.split(r'^\{"schema":1,"command":"help",.*"warnings":\[\],"name":"help".*\n', result.stdout, flags=re.M)
    assert len(texts) == len(asked) + 1, result.stderr + result.stdout[-1000:]
    return texts[:-1]


DOORS = {"gdb": gdb_door, "lldb": lldb_door, "memtrace": command_line_door}

GROUPS = ("line", "function", "file", "thread", "allocator")
JSON_COMMANDS = ["peak --json", "live --json", "status --json"] + [
    f"{command} --by {group} --json" for command in ("peak", "live") for group in GROUPS
]
TEXT_COMMANDS = ["peak", "status", "live --by file --limit 7"]


def facts(answer):
    """An answer without what is the door's own: the target, and what was hard about it."""
    answered = answer.json()
    assert list(answered)[:4] == ["schema", "command", "target", "warnings"], list(answered)
    del answered["target"], answered["warnings"]
    return answered


def ask_everywhere(target, root=()):
    """{door: (facts of each of JSON_COMMANDS, texts of TEXT_COMMANDS)}"""
    asked = {}
    for name, door in DOORS.items():
        answers = door(target, JSON_COMMANDS, root=root)
        # Each text by a debugger of its own, as rows are numbered on and on while a process stands still.
        answers += [door(target, [command], root=root)[0] for command in TEXT_COMMANDS]
        assert len(answers) == len(JSON_COMMANDS + TEXT_COMMANDS), (name, answers[-1].text)
        for answer in answers:
            assert not answer.failed, (name, answer.text)
        asked[name] = (
            [facts(answer) for answer in answers[: len(JSON_COMMANDS)]],
            [answer.text for answer in answers[len(JSON_COMMANDS) :]],
        )
    return asked
