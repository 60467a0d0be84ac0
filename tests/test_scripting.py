"""What docs/scripting.md and docs/editors.md say: their examples run, as they stand there, and the protocols of editors."""

import json
import re
import shutil

import pytest

from debug_adapters import Adapter
from doors import GDB_ADAPTER, LLDB_ADAPTER, gdb, lldb
from interpreters import SYSTEM
from surroundings import BUILD, PROGRAMS, ROOT, clean_environment, gcore, run, running

SCRIPTING = (ROOT / "docs/scripting.md").read_text()
EDITORS = (ROOT / "docs/editors.md").read_text()
INSTALLED = "/usr/local/share/memtrace"


def blocks(document, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", document, re.M | re.S)


@pytest.fixture(scope="module")
def core(tmp_path_factory):
    """core.4711, of an interpreter that lies in /tmp."""
    folder = tmp_path_factory.mktemp("core")
    python = shutil.copy(SYSTEM, folder / "python3.11")
    with running([python, "-S", PROGRAMS / "orders.py"]) as process:
        return gcore(process.pid, folder / "core.4711")


@pytest.fixture(scope="module")
def python(core):
    return core.parent / "python3.11"


def documents(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith('{"schema"')]


def test_shell_examples(core):
    environment = clean_environment(M=str(ROOT))
    environment["PATH"] = f"{BUILD}:{environment['PATH']}"
    each, several = (
        run(["sh", "-e", "-c", block], environment, cwd=core.parent) for block in blocks(SCRIPTING, "sh")
    )
    assert each.returncode == 0, each.stderr
    answers = [document["rows"] for document in documents(each.stdout)]
    assert len(answers) == 3 and answers[0] == answers[1] == answers[2]
    assert several.returncode == 0, several.stderr
    assert "1,000 Orders" in several.stdout and "995 others" in several.stdout


def test_examples_in_python(core, python, tmp_path):
    of_gdb, of_lldb = blocks(SCRIPTING, "python")
    for debugger, source in ((gdb, of_gdb), (lldb, of_lldb)):
        script = tmp_path / f"example_{debugger.__name__}.py"
        script.write_text(source)
        load = f"source {script}" if debugger is gdb else f"command script import {script}"
        result = debugger([load], ["-c", core, python])
        assert result.returncode == 0 and re.search("^first: str", result.stdout, re.M), result.stdout + result.stderr


def test_failures_in_python(tmp_path):
    script = tmp_path / "caught.py"
    failing = "gdb.execute('memtrace nope', to_string=True)"
    script.write_text(f"try:\n    {failing}\nexcept gdb.error as error:\n    print('caught', error)\n")
    assert "caught memtrace: unknown command" in gdb([f"source {script}"]).stdout
    handle = "lldb.debugger.GetCommandInterpreter().HandleCommand('memtrace peak --json', r)"
    result = lldb([f"script r = lldb.SBCommandReturnObject(); {handle}; print(r.Succeeded(), r.GetOutput())"])
    assert re.search(r'^False {"schema":1,"command":"peak","error":', result.stdout, re.M), result.stdout


def test_machine_interface(core, python):
    line = '-interpreter-exec console "memtrace types --json"\n'
    assert line in SCRIPTING
    others = ("2" + line.replace("types --json", "nope"), '3-interpreter-exec console "show memtrace limit"\n', "4-gdb-exit\n")
    lines = "".join(["1" + line, *others])
    command = f"printf '%s' \"$1\" | gdb -nx -q --interpreter=mi2 -ex 'source {GDB_ADAPTER}' -c {core} {python}"
    result = run(["sh", "-c", command, "sh", lines])
    said = [json.loads(text[1:]) for text in result.stdout.splitlines() if text.startswith('~"{')]
    assert [json.loads(text)["command"] for text in said] == ["types"]
    assert re.search(r'^1\^done', result.stdout, re.M)
    assert re.search(r'^2\^error,msg="memtrace: unknown command `nope`', result.stdout, re.M), result.stdout
    assert re.search(r'^~"memtrace\'s limit is 20\.', result.stdout, re.M)


# --- editors ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def adapter():
    opened = []

    def begin(*command):
        opened.append(Adapter(command))
        assert opened[-1].ask("initialize", adapterID="test")["success"]
        return opened[-1]

    yield begin
    for one in opened:
        one.close()


def event(name):
    return lambda message: message["type"] == "event" and message["event"] == name


def test_lldb_dap(adapter, core, python):
    if shutil.which("lldb-dap-19") is None:
        pytest.skip("lldb-dap-19 is not installed")
    launch = next(settings for settings in map(json.loads, blocks(EDITORS, "json")) if settings["type"] == "lldb-dap")
    assert "`` `memtrace types ``" in EDITORS
    launch.update(coreFile=str(core), program=str(python))
    launch["initCommands"] = [line.replace(INSTALLED, str(ROOT)) for line in launch["initCommands"]]
    session = adapter("lldb-dap-19")
    session.send(launch["request"], **launch)
    session.receive(event("initialized"), "initialized")
    assert session.ask("configurationDone")["success"]
    session.receive(event("stopped"), "stopped")
    assert "1,000 Orders" in session.console("`memtrace instances --limit 1 Order")[1]
    (document,) = documents(session.console("`memtrace types --json")[1])
    assert document["target"]["core"] == str(core)
    assert "error: memtrace peak: nothing was recorded" in session.console("`memtrace peak")[1]


def test_dap_of_gdb(adapter, trixie, python):
    assert f'\ngdb -i dap -ex "source {INSTALLED}/gdb/memtrace.py"\n' in EDITORS
    with running([python, "-S", PROGRAMS / "orders.py"]) as process:
        quiet = ["-nx", "-iex", "set debuginfod enabled off"]
        session = adapter(*trixie, "gdb", *quiet, "-i", "dap", "-ex", f"source {GDB_ADAPTER}")
        session.send("attach", pid=process.pid, program=str(python))
        session.receive(event("initialized"), "initialized")
        assert session.ask("configurationDone")["success"]
        session.receive(event("stopped"), "stopped")
        success, said = session.console("memtrace instances --limit 1 Order")
        assert success and said.startswith("1,000 Orders") and "\x1b" not in said
        (document,) = documents(session.console("memtrace types --json")[1])
        assert document["target"]["pid"] == process.pid
        success, said = session.console("memtrace nope")
        assert not success and said.startswith("memtrace: unknown command `nope`")
        session.close()  # before the process, whose end it would wait to see


def test_adapters_are_named_rightly():
    for line in re.findall(rf"{INSTALLED}/(\S+\.py)", EDITORS + SCRIPTING):
        assert (ROOT / line).exists(), line
    assert f"{INSTALLED}/{LLDB_ADAPTER.relative_to(ROOT)}" in EDITORS
