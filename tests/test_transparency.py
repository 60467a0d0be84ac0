"""A recorded program does what it does without us: its output, status, environment, children and open files."""

import json
import os
import re

import pytest

from doors import gdb, lldb
from surroundings import COMMAND, PROGRAMS, RECORDER, bare_environment, recorded_environment, run

PROBE = PROGRAMS / "probe.py"


def seen_by(launch, tmp_path, name):
    """What the probe saw when `launch(command)` ran it, and what came out of it."""
    report = tmp_path / (name + ".json")
    outcome = launch([report, "one two", ""])
    seen = json.loads(report.read_text())
    seen["arguments"] = seen["arguments"][1:]
    return seen, outcome


def differences(bare, recorded):
    """{path of it: (bare, recorded)} of all that is not equal."""
    if isinstance(bare, dict) and isinstance(recorded, dict):
        found = {}
        for key in sorted({*bare, *recorded}):
            for path, pair in differences(bare.get(key), recorded.get(key)).items():
                found[f"{key} {path}".strip()] = pair
        return found
    return {} if bare == recorded else {"": (bare, recorded)}


@pytest.mark.parametrize("level", ["objects", "heap"])
@pytest.mark.parametrize("user_preload", [None, "libjemalloc.so.2"])
def test_environment_contract(python, tmp_path, level, user_preload):
    """LD_PRELOAD by hand, in front of the user's own."""
    more = {"LD_PRELOAD": user_preload} if user_preload else {}
    recorded = recorded_environment(level)
    if user_preload:
        recorded["LD_PRELOAD"] = f"{RECORDER}:{user_preload}"

    def launch(environment):
        def start(arguments):
            result = run([python, PROBE, *arguments], environment)
            return result.stdout, result.stderr, result.returncode

        return start

    bare, bare_outcome = seen_by(launch(bare_environment(**more)), tmp_path, "bare")
    got, outcome = seen_by(launch(recorded), tmp_path, "recorded")
    assert bare_outcome == outcome == ("to stdout\n", "to stderr\n", 7)
    assert differences(bare, got) == {}


@pytest.mark.parametrize("level", ["objects", "heap"])
def test_run(python, tmp_path, level):
    """`memtrace run`: the report comes after the program's own output, and the status is the program's."""
    environment = bare_environment()

    def bare_launch(arguments):
        result = run([python, PROBE, *arguments], environment)
        return result.stdout, result.stderr, result.returncode

    def recorded_launch(arguments):
        options = ["--level", level, "--out", tmp_path / "peak"]
        result = run([COMMAND, "run", *options, "--", python, PROBE, *arguments], environment)
        return result.stdout, result.stderr, result.returncode

    bare, bare_outcome = seen_by(bare_launch, tmp_path, "bare")
    got, outcome = seen_by(recorded_launch, tmp_path, "recorded")
    assert outcome == bare_outcome
    assert differences(bare, got) == {}
    assert (tmp_path / "peak").read_text().startswith("peak ")


def test_run_reports_after_the_output(python, tmp_path):
    result = run([COMMAND, "run", "--", python, PROBE, tmp_path / "seen"])
    assert result.returncode == 7
    assert re.match(r"to stdout\npeak [0-9.]+ ", result.stdout + result.stderr.replace("to stderr\n", ""))


@pytest.mark.parametrize("user_preload", [None, "libjemalloc.so.2"])
@pytest.mark.parametrize("debugger", ["gdb", "lldb"])
def test_launched_by_a_debugger(python, tmp_path, debugger, user_preload):
    more = {"LD_PRELOAD": user_preload} if user_preload else {}

    def launch(first):
        def start(arguments):
            if debugger == "gdb":
                words = " ".join("'%s'" % argument for argument in arguments)
                setting = ["unset environment MEMTRACE_LIBRARY"]
                setting += [f"set environment LD_PRELOAD {user_preload}"] if user_preload else []
                # The adapter is loaded in both: what is compared is recording.
                result = gdb([*setting, *first, f"run {PROBE} {words}", "print $_exitcode"], ["--args", python])
                assert "$1 = 7" in result.stdout, result.stdout + result.stderr
            else:
                words = " ".join('"%s"' % argument for argument in arguments)
                setting = ["settings append target.unset-env-vars MEMTRACE_LIBRARY"]
                setting += [f"settings set target.env-vars LD_PRELOAD={user_preload}"] if user_preload else []
                result = lldb([*setting, *first, f"process launch -- {PROBE} {words}"], ["--", python])
                assert "exited with status = 7" in result.stdout, result.stdout + result.stderr
            output = result.stdout + result.stderr
            return "to stdout" in output, "to stderr" in output

        return start

    bare, bare_outcome = seen_by(launch([]), tmp_path, "bare")
    got, outcome = seen_by(launch(["memtrace record"]), tmp_path, "recorded")
    assert bare_outcome == outcome == (True, True)
    assert differences(bare, got) == {}
    assert (bare["environment"].get("LD_PRELOAD") or None) == more.get("LD_PRELOAD")


def test_children_do_not_record_unless_asked(python, tmp_path):
    code = "import os, subprocess, sys; print(subprocess.check_output([sys.executable, '-c', %r], text=True))" % (
        "print('memtrace' in open('/proc/self/maps').read())"
    )
    assert run([python, "-c", code], recorded_environment()).stdout.split() == ["False"]
    assert run([python, "-c", code], recorded_environment(MEMTRACE_FOLLOW="1")).stdout.split() == ["True"]


def test_interpreter_behind_a_shell_script(python, tmp_path):
    """As pyenv's are. The script hands the recorder on, the interpreter keeps it to itself."""
    script = tmp_path / "python3"
    script.write_text(f'#!/bin/sh\nexec {python} "$@"\n')
    script.chmod(0o755)
    code = "import os; print('memtrace' in open('/proc/self/maps').read(), os.environ.get('LD_PRELOAD'))"
    assert run([script, "-c", code], recorded_environment()).stdout == "True None\n"


def test_only_the_chosen_pid_records(python):
    """MEMTRACE_PID: another process with the same environment passes everything through."""
    environment = recorded_environment(MEMTRACE_PID=str(os.getpid()))
    code = "import os; print('works', [name for name in os.environ if 'MEMTRACE' in name])"
    result = run([python, "-c", code], environment)
    assert result.stdout == "works []\n"
