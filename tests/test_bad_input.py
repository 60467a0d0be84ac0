"""What can be wrong, in every door: one clear line that says what to do, and a failing status."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

from doors import DOORS, GDB_ADAPTER, LLDB, LLDB_ADAPTER, Target, command_line, gdb, lldb
from surroundings import COMMAND, PROGRAMS, ROOT, clean_environment, recorded_environment, require_program, run, running

DEBUGGERS = ["gdb", "lldb"]


def the_error(answers):
    """The one line of the last answer, which must be an error."""
    error = answers[-1]
    assert error.failed, error.text
    lines = error.text.strip().splitlines()
    assert len(lines) == 1, error.text
    assert 10 < len(lines[0]) < 400
    assert "Traceback" not in lines[0]
    return lines[0]


def assert_mentions(line, *words):
    for word in words:
        assert word in line, line


@pytest.fixture(scope="module")
def waiting(python):
    with running([python, PROGRAMS / "waiting.py"]) as process:
        yield process


@pytest.fixture(scope="module")
def recorded(python):
    with running([python, PROGRAMS / "waiting.py"], recorded_environment()) as process:
        yield process


@pytest.mark.parametrize("door", DEBUGGERS)
def test_no_process(door):
    assert_mentions(the_error(DOORS[door](Target(), ["peak"])), "memtrace", "no process")


def test_no_process_on_the_command_line():
    dead = subprocess.Popen(["/bin/true"])
    dead.wait()
    assert_mentions(the_error(DOORS["memtrace"](Target(pid=dead.pid), ["peak"])), str(dead.pid))
    assert_mentions(the_error(DOORS["memtrace"](Target(), ["peak"])), "--pid", "--core")


def test_running_in_gdb(python, tmp_path):
    start = f"run {PROGRAMS / 'waiting.py'} < {fifo(tmp_path)} &"
    script = ["set pagination off", "set non-stop on", start, "memtrace peak"]
    result = gdb(script, ["--args", python])
    assert result.returncode == 1, result.stdout + result.stderr
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("memtrace")]
    assert_mentions(line, "stop")


def test_running_in_lldb(python, tmp_path):
    launch = f"process launch -i {fifo(tmp_path)} -- {PROGRAMS / 'waiting.py'}"
    process = "lldb.debugger.GetSelectedTarget().GetProcess()"
    until_it_runs = f"script while {process}.GetState() != lldb.eStateRunning: __import__('time').sleep(0.05)"
    result = lldb(["script lldb.debugger.SetAsync(True)", launch, until_it_runs, "memtrace peak"], ["--", python])
    assert result.returncode == 1, result.stdout + result.stderr
    (line,) = [line for line in result.stderr.splitlines() if "memtrace" in line]
    assert_mentions(line, "stop")


def fifo(directory):
    """A file to read from that nobody ever writes to: a program whose input it is waits."""
    path = directory / "fifo"
    os.mkfifo(path)
    os.open(path, os.O_RDWR)  # kept open, so that opening it to read does not wait
    return path


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("command", ["peak", "live", "born 0x1000"])
def test_nothing_recorded(door, waiting, command):
    line = the_error(DOORS[door](Target(pid=waiting.pid), [command]))
    assert_mentions(line, "memtrace", "record")


@pytest.mark.parametrize("door", DOORS)
def test_foreign_image(door, tmp_path):
    program = tmp_path / "foreign"
    source = PROGRAMS / "foreign_image.c"
    subprocess.run(["gcc", "-I", ROOT / "native", "-rdynamic", "-o", program, source], check=True, timeout=60)
    with running([program]) as process:
        line = the_error(DOORS[door](Target(pid=process.pid), ["peak"]))
    assert_mentions(line, "version", "2")


@pytest.mark.parametrize("door", ["gdb", "memtrace"])
def test_unknown_command(door, recorded):
    assert_mentions(the_error(DOORS[door](Target(pid=recorded.pid), ["bogus"])), "bogus", "help")


def test_unknown_command_in_lldb():
    """lldb itself knows what is in the container of our commands."""
    result = lldb(["memtrace bogus"])
    assert result.returncode == 1
    assert_mentions(result.stderr, "memtrace bogus")
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    "command, words",
    [
        ("peak --bogus", ["--bogus"]),
        ("peak --by nonsense", ["nonsense", "stack"]),
        ("peak --limit many", ["many"]),
        ("peak --by", ["--by"]),
        ("born", ["address"]),
        ("born 0x10", ["0x10"]),
        ("born 0xffffffffffffffff", ["0xffffffffffffffff"]),
        ("born 0x1ffffffffffffffff", ["0x1ffffffffffffffff"]),
        ("born zork+", ["zork"]),
    ],
)
def test_bad_words(door, recorded, command, words):
    assert_mentions(the_error(DOORS[door](Target(pid=recorded.pid), [command])), *words)


@pytest.mark.parametrize("door", DOORS)
def test_errors_as_json(door, recorded):
    answers = DOORS[door](Target(pid=recorded.pid), ["born 0x10 --json"])
    assert answers[-1].failed
    error = json.loads(answers[-1].text)
    assert list(error) == ["schema", "command", "error"] and error["schema"] == 1 and error["command"] == "born"
    assert set(error["error"]) == {"code", "message"}


BAD_CORES = {
    "text": lambda path, python: path.write_text("not a core\n" * 1000),
    "empty": lambda path, python: path.write_text(""),
    "executable": lambda path, python: shutil.copy(python, path),
    "header only": lambda path, python: path.write_bytes(open(python, "rb").read(64)),
    "directory": lambda path, python: path.mkdir(),
    "missing": lambda path, python: None,
}


@pytest.mark.parametrize("kind", BAD_CORES)
@pytest.mark.parametrize("door", DOORS)
def test_unreadable_core(door, kind, python, tmp_path):
    """The debuggers refuse such a file themselves; our command after that must not look like an answer."""
    core = tmp_path / "a core"
    BAD_CORES[kind](core, python)
    if door == "memtrace":
        line = the_error(DOORS[door](Target(core=str(core)), ["peak"]))
        assert_mentions(line, str(core))
        return
    opening = f'target create -c "{core}"' if door == "lldb" else f"core-file {core}"
    result = (lldb if door == "lldb" else gdb)([opening, "memtrace peak"])
    assert result.returncode == 1, result.stdout + result.stderr
    assert "peak " not in result.stdout.replace("memtrace peak", "")


def test_core_without_permission():
    with tempfile.TemporaryDirectory() as directory:  # pytest's own can be entered by its owner only
        os.chmod(directory, 0o755)
        core = pathlib.Path(directory) / "core"
        core.write_text("secret")
        core.chmod(0)
        line = the_error_as_nobody(["--core", core, "peak"], [core])
    assert_mentions(line, str(core))


def test_no_permission_to_trace(recorded):
    """Somebody else's process."""
    line = the_error_as_nobody(["--pid", recorded.pid, "peak"])
    assert_mentions(line, str(recorded.pid), "may not", "root")


def the_error_as_nobody(arguments, paths=()):
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    require_program("setpriv")
    for path in (COMMAND, *paths):
        for folder in path.resolve().parents:
            if not folder.stat().st_mode & 0o001:
                pytest.skip(f"nobody can't enter {folder}")
    as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"]
    result = command_line(arguments, root=as_nobody)
    assert result.returncode != 0 and result.stdout == ""
    (line,) = result.stderr.strip().splitlines()
    return line


@pytest.mark.parametrize("debugger", DEBUGGERS)
def test_no_permission_to_attach(debugger, recorded):
    """The debugger says so itself; our command then fails too."""
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    if not os.access(ROOT, os.X_OK) or not ROOT.stat().st_mode & 0o001:
        pytest.skip(f"nobody can't enter {ROOT}")
    as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"]
    if debugger == "gdb":
        result = gdb([f"attach {recorded.pid}", "memtrace peak"], root=as_nobody)
    else:
        result = lldb([f"process attach -p {recorded.pid}", "memtrace peak"], root=as_nobody)
    assert result.returncode == 1, result.stdout + result.stderr


@pytest.mark.parametrize("problem", ["missing", "foreign", "not a library"])
def test_library_that_does_not_fit(problem, tmp_path):
    library = tmp_path / "libmemtrace.so"
    if problem == "foreign":
        source = PROGRAMS / "foreign_library.c"
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source], check=True, timeout=60)
    elif problem == "not a library":
        library.write_text("text")
    environment = clean_environment()
    environment["MEMTRACE_LIBRARY"] = str(library)
    for result in (gdb(["memtrace peak"], environment=environment), lldb([], environment=environment)):
        assert result.returncode == 1
        assert "memtrace: " in result.stderr and str(library) in result.stderr
    lines = gdb(["memtrace peak"], environment=environment).stderr.strip().splitlines()
    assert len(lines) == 2  # one at `source`, one at the command


def test_usage_on_the_command_line():
    for arguments in (["run"], ["run", "--level", "nonsense", "--", "true"], ["--pid", "x", "peak"], ["--pid"]):
        result = command_line(arguments)
        assert result.returncode != 0 and result.stdout == "", arguments
        assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    result = command_line(["run", "--", "/no/such/program"])
    assert result.returncode != 0 and "/no/such/program" in result.stderr


def test_nothing_is_shown_of_adapters_that_load():
    assert gdb([]).stderr == ""
    assert lldb([]).stderr == ""


def test_loading_twice_is_harmless():
    result = gdb([f"source {GDB_ADAPTER}", "help memtrace"])
    assert result.returncode == 0 and result.stderr == ""
    result = lldb([f"command script import {LLDB_ADAPTER}", "help memtrace"])
    assert result.returncode == 0 and result.stderr == ""


def test_sourced_by_another_script(tmp_path):
    """A Python file of the user's, given to gdb with -x."""
    script = tmp_path / "settings.py"
    script.write_text(f"import gdb\ngdb.execute('source {GDB_ADAPTER}')\n")
    result = run(["gdb", "-nx", "-batch", "-x", script, "-ex", "help memtrace"])
    assert result.returncode == 0 and "peak" in result.stdout and result.stderr == "", result.stderr


def test_repository_as_working_directory():
    """Its folders `gdb` and `lldb` must not hide the debuggers' own modules."""
    for command in (
        ["gdb", "-nx", "-batch", "-ex", "source gdb/memtrace.py", "-ex", "help memtrace"],
        [LLDB, "-x", "-b", "-o", "command script import lldb/memtrace_lldb.py", "-o", "help memtrace"],
    ):
        result = run(command, cwd=ROOT)
        assert result.returncode == 0 and "peak" in result.stdout, result.stderr
