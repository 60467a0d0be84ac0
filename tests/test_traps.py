"""What debuggers do to their plugins: errors that count as successes, interrupts at bad moments, pagers, processes that
become others, folders and interpreters of the user that get in the way."""

import json
import re
import subprocess
import time

import pytest

from consoles import open_console
from doors import GDB_ADAPTER, LLDB_ADAPTER, Target, command_line_door, gdb, gdb_door, lldb, lldb_door
from interpreters import SYSTEM
from surroundings import LLDB, PROGRAMS, bare_environment, clean_environment, gcore, run, running

ORDERS = PROGRAMS / "orders.py"
COUNT = 1000
ROW = r"(?m)^ *(\d+)  0x[0-9a-f]+ +\d+  <Order at"


@pytest.fixture(scope="module")
def process():
    with running([SYSTEM, ORDERS]) as process:
        yield process


@pytest.fixture(scope="module")
def core(process, tmp_path_factory):
    return gcore(process.pid, tmp_path_factory.mktemp("core") / "core.orders")


@pytest.fixture
def on_core(core):
    """Opens a console of a debugger on the core."""
    opened = []

    def begin(debugger, core=core, **options):
        opened.append(open_console(debugger, **options))
        load = f"core-file {core}" if debugger == "gdb" else f"target create {SYSTEM} --core {core}"
        if debugger == "gdb":
            ask(opened[-1], f"file {SYSTEM}")
        ask(opened[-1], load)
        return opened[-1]

    yield begin
    for console in opened:
        console.close()


def ask(console, line, seconds=60):
    """The answer to a line, its echo too."""
    console.send(line + "\n")
    console.expect(re.escape(line[-20:]))
    return console.expect(console.prompt, seconds)


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("debugger", [gdb, lldb])
def test_defects_of_the_adapter_fail(debugger):
    """lldb counts an exception of a command as a success."""
    if debugger is gdb:
        breaking = "python import sys; sys.modules['memtrace_gdb'].host.describe = lambda: 1 / 0"
    else:
        breaking = "script import memtrace_lldb as m; m.Session.of(lldb.debugger).host.describe = lambda: 1 / 0"
    result = debugger([breaking, "memtrace status"])
    assert result.returncode == 1
    assert f"memtrace: defect in the {debugger.__name__} adapter: ZeroDivisionError" in result.stderr
    assert "Traceback" not in result.stdout + result.stderr


def test_the_last_command_decides_in_gdb():
    assert gdb(["memtrace peak", "memtrace show"]).returncode == 0
    assert gdb(["memtrace show", "memtrace peak"]).returncode == 1
    assert gdb(["memtrace peak", "quit 0"]).returncode == 0


def test_the_first_failure_ends_lldb():
    result = lldb(["memtrace peak", "memtrace show"])
    assert result.returncode == 1 and "width" not in result.stdout


# --- interrupts and pagers --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def big_heap():
    """2.6 million objects."""
    code = "kept = [[i, (i,)] for i in range(870_000, 1_740_000)]; print('ready', flush=True); input()"
    with running([SYSTEM, "-c", code]) as process:
        yield process


@pytest.mark.parametrize("debugger", ["gdb", "lldb"])
def test_interrupt_of_a_long_command(debugger, big_heap):
    """The prompt is back soon (it is printed how soon), and the next command is right."""
    console = open_console(debugger)
    try:
        ask(console, f"attach {big_heap.pid}" if debugger == "gdb" else f"process attach -p {big_heap.pid}")
        times = []
        for pause in (0.0, 0.3):
            console.send("memtrace audit\n")
            console.expect("\x1b\\[K\\w")  # progress: it is at work
            time.sleep(pause)
            console.send("\x03")
            begin = time.monotonic()
            said = console.expect(console.prompt)
            times.append(time.monotonic() - begin)
            assert "memtrace audit: interrupted" in said and "Traceback" not in said, said
        print(f"{debugger}: prompt back after", " ".join(f"{seconds * 1000:.0f} ms" for seconds in times))
        said = ask(console, "memtrace instances --limit 1 list")
        counted = int(re.search(r"([\d,]+) lists", said).group(1).replace(",", ""))
        assert 870_000 < counted < 872_000, said
    finally:
        console.close()


@pytest.mark.parametrize("debugger", ["gdb", "lldb"])
def test_interrupt_in_a_callback(debugger, on_core):
    """While the library waits for a read of the debugger's: the read fails, and nothing is half known afterwards."""
    console = on_core(debugger)
    if debugger == "gdb":
        host, statement = "__import__('sys').modules['memtrace_gdb'].host", "python"
    else:
        host, statement = "__import__('memtrace_lldb').Session.of(lldb.debugger).host", "script"
    describe = "setattr(h, 'describe', lambda: (lambda d: (setattr(d, 'core', None), d)[1])(type(h).describe(h)))"
    read = "(print('read', '..', sep=''), __import__('time').sleep(0.5), type(h).read(h, a, n))[2]"
    slow = f"setattr(h, 'read', lambda a, n: {read})"
    for line in (f"h = {host}", describe, slow):
        ask(console, f"{statement} {line}")
    console.send("memtrace types\n")
    console.expect(r"read\.\.")
    console.send("\x03")
    said = console.expect(console.prompt)
    assert "interrupted" in said and "Traceback" not in said and "defect" not in said, said
    ask(console, f"{statement} del h.read, h.describe")
    assert "1,000 Orders" in ask(console, "memtrace instances --limit 1 Order")


def test_pager_is_left(on_core):
    """`q` in the middle of an answer is an interrupt within our writing."""
    console = on_core("gdb")
    ask(console, "set height 10")
    ask(console, "set pagination on")
    console.send("memtrace instances --limit all Order\n")
    console.expect("--Type <RET> for more")
    console.send("q\n")
    said = console.expect(console.prompt)
    assert "Traceback" not in said and "Exception" not in said
    ask(console, "set pagination off")
    assert re.findall(ROW, ask(console, "memtrace instances --limit 1 Order")) == [str(COUNT + 1)]
    assert "Order at 0x" in ask(console, f"memtrace object {COUNT}")


@pytest.mark.parametrize("debugger", ["gdb", "lldb"])
def test_nothing_is_coloured(debugger, on_core):
    """Answers have no escape codes, on a terminal either; only progress has."""
    console = on_core(debugger, terminal="xterm-256color")
    ask(console, "set style enabled on" if debugger == "gdb" else "settings set use-color true")
    for line in ("show", "instances --limit 3 Order", "threads", "object 1", "help", "help object"):
        console.send(f"memtrace {line}\n")
        console.expect(re.escape(line) + r"\r*\n")
        # What the line editor writes comes before the prompt, and after the echo.
        shown = console.expect(console.prompt)
        answer = re.sub(r"\x1b\[\?2004[hl]\r?|\r\x1b\[K[^\r\n]*(?=\r\x1b\[K)|\r\x1b\[K", "", shown)
        assert "\x1b" not in re.sub(r"(\x1b\[[\d;]*[mGKJ])*\([gl]l?db\) \Z", "", answer), repr(answer)
    assert "\x1b" not in (gdb if debugger == "gdb" else lldb)(["memtrace help"]).stdout


# --- targets ----------------------------------------------------------------------------------------------------------


def counted(text):
    """(pid, instances) of the answers in JSON."""
    documents = [json.loads(line) for line in text.splitlines() if line.startswith('{"schema"')]
    return [(document["target"]["pid"], document.get("count")) for document in documents]


@pytest.mark.parametrize("debugger", [gdb, lldb])
def test_two_processes_in_one_debugger(debugger, process):
    """Each answer is about the one that is selected, and rows of the other are forgotten."""
    asked = ["memtrace instances --json Order", "memtrace instances --limit 1 Order"]
    with running([SYSTEM, ORDERS, 77]) as other:
        if debugger is gdb:
            first, second = [f"attach {process.pid}"], ["add-inferior", "inferior 2", f"attach {other.pid}"]
            back, again = ["inferior 1"], ["inferior 2", "memtrace object 1"]
        else:
            first = [f"process attach -p {process.pid}"]
            second = [f"target create {SYSTEM}", f"process attach -p {other.pid}"]
            back, again = ["target select 0"], ["target select 1", "memtrace object 1"]
        result = debugger([*first, *asked, *second, *asked, *back, *asked, *again])
    numbers = [(process.pid, COUNT), (other.pid, 77), (process.pid, COUNT)]
    assert counted(result.stdout) == numbers, result.stdout + result.stderr
    assert re.findall(ROW, result.stdout) == ["1", "1", "1"]
    assert result.returncode == 1 and "there is no row 1: nothing was listed at this stop" in result.stderr


@pytest.mark.parametrize("debugger", [gdb, lldb])
def test_exec(debugger):
    """The process is another program now: what was known of it is forgotten."""
    with running([SYSTEM, ORDERS, 50, "/bin/cat"]) as process:
        language = "python" if debugger is gdb else "script"
        go = [f"{language} open('/proc/{process.pid}/fd/0', 'w').write(chr(10))", "continue"]
        attach = [f"attach {process.pid}", "catch exec"] if debugger is gdb else [f"process attach -p {process.pid}"]
        result = debugger([*attach, "memtrace instances --limit 1 Order", *go, "memtrace object 1"])
    assert "50 Orders" in result.stdout, result.stdout + result.stderr
    assert result.returncode == 1
    assert re.search("memtrace object: (there is no row 1|no CPython)", result.stderr), result.stderr


def test_batch_mode_ends_well(process):
    """gdb 13 crashes at its end when something was posted to its event loop in batch mode."""
    for script in (["run -c pass", "memtrace record", "run -c pass", "memtrace status"], ["memtrace show"]):
        assert gdb(script, [SYSTEM]).returncode in (0, 1)
    assert gdb(["memtrace types --limit 1"], ["-p", process.pid]).returncode == 0


# --- what lies around -------------------------------------------------------------------------------------------------


def test_folders_named_as_the_debuggers(core, tmp_path):
    """lldb looks for modules in the working directory, and a folder is one."""
    for name in ("gdb", "lldb", "native/door"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("memtrace_door.py", "memtrace_gdb.py", "json.py", "gdb/__init__.py"):
        (tmp_path / name).write_text("raise SystemExit('the wrong one')\n")
    asked = "memtrace instances --limit 1 Order"
    for command in (
        ["gdb", "-nx", "-batch", "-c", core, SYSTEM, "-ex", f"source {GDB_ADAPTER}", "-ex", asked],
        [LLDB, "-x", "-b", "-c", core, SYSTEM, "-o", f"command script import {LLDB_ADAPTER}", "-o", asked],
    ):
        result = run(command, clean_environment(), cwd=tmp_path)
        assert result.returncode == 0 and "1,000 Orders" in result.stdout, result.stdout + result.stderr


@pytest.mark.parametrize("debugger", [gdb_door, lldb_door])
def test_virtual_environment_first(debugger, core, tmp_path):
    """lldb's Python takes its prefix from the first python3 on PATH."""
    subprocess.run([SYSTEM, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True, timeout=60)
    environment = clean_environment(VIRTUAL_ENV=str(tmp_path / "venv"))
    environment["PATH"] = f"{tmp_path}/venv/bin:{environment['PATH']}"
    answer = debugger(Target(core=core, executable=SYSTEM), ["instances --limit 1 Order"], environment=environment)[0]
    assert "1,000 Orders" in answer.text, answer.text


def test_command_line_without_a_home(core):
    environment = bare_environment()
    del environment["HOME"]
    answer = command_line_door(Target(core=core), ["instances --limit 1 Order"], environment=environment)[0]
    assert "1,000 Orders" in answer.text


def test_the_adapter_itself_is_sourced():
    """gdb knows it as a module, which a sourced file is not: half of it would not work."""
    command = ["gdb", "-nx", "-batch", "-ex", f"source {GDB_ADAPTER.with_name('memtrace_gdb.py')}", "-ex", "memtrace help"]
    result = run(command)
    assert "source memtrace.py, which is beside this file" in result.stderr, result.stderr
    assert 'Undefined command: "memtrace"' in result.stderr, result.stderr
