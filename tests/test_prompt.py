"""The prompt of `memtrace --core CORE` and `--pid PID`: at a terminal, as the screen shows it, and with a script's lines."""

import fcntl
import json
import os
import pathlib
import re
import signal
import stat
import struct
import subprocess
import termios
import time

import pytest

from surroundings import (
    COMMAND,
    PROGRAMS,
    ROOT,
    TIMEOUT,
    clean_environment,
    gcore,
    recorded_environment,
    running,
    wait_until,
)
from test_run import Terminal, state_of

PROMPT = r"\(memtrace\) "
TAB, UP, CTRL_C, CTRL_D, CTRL_R, CTRL_Z = "\t", "\x1b[A", "\x03", "\x04", "\x12", "\x1a"
ROWS = 2  # of the answers asked for here


@pytest.fixture(scope="module")
def process(python):
    kept = [["largest", "/srv/largest.py", 9_000_000]]
    kept += [[f"other_{i}", f"/srv/other_{i}.py", 1_000_000 + i] for i in range(50)]
    with running([python, PROGRAMS / "nasty_names.py", ascii(kept)], recorded_environment()) as process:
        yield process


@pytest.fixture(scope="module")
def core(process, tmp_path_factory):
    return gcore(process.pid, tmp_path_factory.mktemp("core") / "core.kept")


@pytest.fixture(scope="module")
def stub(tmp_path_factory):
    """An environment in which the command line has a library that only tells what it is asked, or works until it is
    interrupted."""
    library = tmp_path_factory.mktemp("stub") / "libmemtrace.so"
    source = PROGRAMS / "stub_library.c"
    command = ["gcc", "-Wall", "-shared", "-fPIC", "-I", ROOT / "native", "-o", library, source]
    subprocess.run(command, check=True, timeout=60)
    return {"LD_LIBRARY_PATH": str(library.parent)}


class Prompt(Terminal):
    """`memtrace` on a terminal of its own. `text` is what is on the screen and was not expected yet."""

    def __init__(self, arguments, environment):
        self.fd, self.slave = os.openpty()
        self.attributes = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen(
            [str(word) for word in (COMMAND, *arguments)],
            env=environment,
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        self.text = ""

    def ask(self, line):
        """The answer to a line, up to the next prompt."""
        self.type(line + "\n")
        self.expect(re.escape(line.expandtabs()) + r"\n")
        seen = self.text
        while not (match := re.search(r"^" + PROMPT, seen, re.M)):
            self.text = ""
            self.expect("(?s).+")
            seen += self.last
        self.text = seen[match.end() :]
        return seen[: match.start()].rpartition("\x1b[K")[2]  # what was before it is progress, and erased

    def expect(self, pattern, seconds=20):
        match = super().expect(pattern, seconds)
        self.last = match.group(0)
        return match

    def terminal_is_restored(self):
        return termios.tcgetattr(self.slave) == self.attributes

    def close(self):
        self.process.kill()
        self.process.wait(TIMEOUT)
        os.close(self.slave)
        os.close(self.fd)


@pytest.fixture
def open_prompt(core, tmp_path):
    """Opens a prompt on the core, or on what the arguments say, and waits until it is there."""
    opened = []

    def begin(arguments=None, ready=PROMPT, **environment):
        environment = {**clean_environment(XDG_STATE_HOME=str(tmp_path / "state")), **environment}
        opened.append(Prompt(arguments or ["--core", core], environment))
        opened[-1].expect(ready)
        return opened[-1]

    yield begin
    for prompt in opened:
        prompt.close()


def script(arguments, text, **options):
    return subprocess.run(
        [str(word) for word in (COMMAND, *arguments)],
        input=text,
        env=options.pop("environment", None) or clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        timeout=TIMEOUT,
        **options,
    )


# --- at a terminal ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("terminal", ["dumb", "xterm"])
def test_greeting_answer_and_end(open_prompt, core, terminal):
    prompt = open_prompt(ready="greeting|core .*ends\n", TERM=terminal)
    assert prompt.last == f"core {core}; help lists the commands, Ctrl-D ends\n"
    prompt.expect(PROMPT)
    prompt.type(f"peak --limit {ROWS}\n")
    prompt.expect(r"peak [\d.]+ MB")
    prompt.expect("\\w\n.*" + PROMPT)
    assert not prompt.terminal_is_restored()
    prompt.type(CTRL_D)
    assert prompt.process.wait(TIMEOUT) == 0
    prompt.expect(r"\A(\x1b\[\?2004l)?\n")
    assert prompt.text == ""
    assert prompt.terminal_is_restored()


@pytest.mark.parametrize("word", ["quit", "exit", "q", "  ex ", "memtrace quit"])
def test_words_that_end(open_prompt, word):
    prompt = open_prompt()
    assert "takes no argument" in prompt.ask("quit now")
    prompt.type(word + "\n")
    assert prompt.process.wait(TIMEOUT) == 0
    assert prompt.terminal_is_restored()


def test_rows_go_on_counting(open_prompt):
    """One session: a row of one answer is an address for the next command, and no number is given twice."""
    prompt = open_prompt()
    first = re.findall(r"^ +(\d+) ", prompt.ask(f"peak --limit {ROWS}"), re.M)
    second = re.findall(r"^ +(\d+) ", prompt.ask(f"live --by file --limit {ROWS}"), re.M)
    assert (first, second) == (["1", "2"], ["3", "4"])
    assert prompt.ask("born 1").startswith("row 1 ")
    assert prompt.ask("memtrace born #4").startswith("row 4 ")
    assert "born in" in prompt.ask("bo 2")


def test_errors_and_empty_lines(open_prompt):
    prompt = open_prompt()
    assert prompt.ask("bogus").startswith("memtrace: unknown command `bogus`")
    assert prompt.ask("peak --bogus").startswith("memtrace peak: ")
    assert prompt.ask("") == prompt.ask("   ") == prompt.ask("# peak") == ""
    assert prompt.ask("help").startswith("memtrace: what ")
    assert prompt.ask("memtrace help") == prompt.ask("help")
    assert prompt.ask("memtrace").startswith("CPython 3.")
    assert prompt.ask("help peak").startswith("memtrace peak [OPTIONS]\n")
    assert json.loads(prompt.ask("status --json"))["command"] == "status"


def test_completion(open_prompt):
    prompt = open_prompt()
    prompt.type("pe" + TAB)
    prompt.expect("peak ")
    prompt.type("--b" + TAB + "fun" + TAB + "\n")
    prompt.expect(r"--by function \n")
    prompt.expect(r"peak [\d.]+ MB")
    prompt.expect(PROMPT)
    prompt.type("memtrace he" + TAB + "bo" + TAB + "\n")
    prompt.expect(r"help born \nmemtrace born")
    prompt.expect(PROMPT)
    prompt.type("e" + TAB)
    prompt.expect("exit ")
    prompt.type(CTRL_C)
    prompt.expect(PROMPT)
    prompt.type(TAB + TAB)
    prompt.expect(r"audit +")
    listed = "audit " + prompt.expect(r"(?s)(.*)\n" + PROMPT).group(1)
    assert {"audit", "born", "exit", "help", "live", "peak", "quit", "record", "status"} <= set(listed.split())


def test_history_in_a_session_and_in_the_next(open_prompt, tmp_path):
    history = tmp_path / "state/memtrace/history"
    prompt = open_prompt()
    assert not history.exists()
    for line in ("status", f"peak --limit {ROWS}", f"peak --limit {ROWS}", "", "bogus"):
        prompt.ask(line)
    prompt.type(UP + UP + UP + "\n")
    prompt.expect(r"core of pid")
    prompt.expect(PROMPT)
    prompt.process.send_signal(signal.SIGKILL)
    assert prompt.process.wait(TIMEOUT) == -signal.SIGKILL
    assert history.read_text() == f"status\npeak --limit {ROWS}\nbogus\nstatus\n"
    assert [stat.S_IMODE(path.stat().st_mode) for path in (history, history.parent)] == [0o600, 0o700]
    prompt = open_prompt()
    prompt.type(UP + UP)
    prompt.expect("bogus")
    prompt.type(CTRL_C)
    prompt.expect(PROMPT)
    prompt.type(CTRL_R + "limit")
    prompt.expect(rf"peak --limit {ROWS}")


def test_history_is_limited(open_prompt, tmp_path):
    history = tmp_path / "state/memtrace/history"
    history.parent.mkdir(parents=True)
    history.write_text("".join(f"born {i}\n" for i in range(5000)))
    prompt = open_prompt()
    prompt.type(UP)
    prompt.expect("born 4999")
    assert history.read_text().splitlines() == [f"born {i}" for i in range(4000, 5000)]


@pytest.mark.parametrize("place", ["no home", "no folder", "pipe", "relative", "home"])
def test_history_without_a_place(open_prompt, tmp_path, place):
    environment = {"XDG_STATE_HOME": "", "HOME": ""}
    if place == "no folder":
        environment["XDG_STATE_HOME"] = "/dev/null"
    elif place == "pipe":
        (tmp_path / "memtrace").mkdir()
        os.mkfifo(tmp_path / "memtrace/history")
        environment["XDG_STATE_HOME"] = str(tmp_path)
    elif place in ("relative", "home"):
        environment["XDG_STATE_HOME"] = "state"
        environment["HOME"] = str(tmp_path) if place == "home" else ""
    prompt = open_prompt(**environment)
    prompt.ask("help born")
    prompt.ask("help peak")
    prompt.type(UP + UP + "\n")
    prompt.expect(r"memtrace born \[OPTIONS\]")
    assert (tmp_path / ".local/state/memtrace/history").exists() == (place == "home")


def test_pasted_lines(open_prompt):
    """Readline takes what is pasted as one line: all of its lines run."""
    prompt = open_prompt(TERM="xterm")
    prompt.type("\x1b[200~help born\n# a comment\n\nhelp peak\n\x1b[201~")
    prompt.type("\n")
    prompt.expect(r"memtrace born \[OPTIONS\] ADDR\n")
    prompt.expect(r"memtrace peak \[OPTIONS\]\n")
    prompt.expect(PROMPT)


def test_ctrl_c_stops_pasted_lines(open_prompt, stub):
    prompt = open_prompt(["--core", "/dev/null"], TERM="xterm", **stub)
    prompt.type("\x1b[200~spin\nagain\n\x1b[201~")
    prompt.type("\n")
    prompt.expect("spinning")
    prompt.type(CTRL_C)
    prompt.expect(r"memtrace spin: interrupted\n(\x1b\[\?2004h)?" + PROMPT)
    prompt.type("again\n")
    prompt.expect(r"\[again\] call 2 interactive\n")


def test_ctrl_c_clears_the_line(open_prompt):
    prompt = open_prompt()
    for typed in ("bogus", "", CTRL_R + "bog", "\x1b1", "pe" + TAB):  # also in the midst of a search or a number
        prompt.type(typed)
        time.sleep(0.2)
        prompt.type(CTRL_C)
        prompt.expect(r"\^C\n" + PROMPT)
    assert prompt.ask("help born").startswith("memtrace born ")
    prompt.type(UP + CTRL_C)
    prompt.expect(PROMPT)
    prompt.type(CTRL_D)
    assert prompt.process.wait(TIMEOUT) == 0


def test_ctrl_c_stops_a_command(open_prompt, stub):
    prompt = open_prompt(["--core", "/dev/null"], **stub)
    for _ in range(3):
        prompt.type("spin\n")
        prompt.expect("spinning")
        assert prompt.terminal_is_restored()
        prompt.type(CTRL_C)
        prompt.expect("memtrace spin: interrupted\n" + PROMPT)
    assert prompt.ask("again  a 'b  c'").endswith("[again  a 'b  c'] call 4 interactive\n")
    prompt.type("spin\n")
    prompt.expect("spinning")
    prompt.type("again\n")
    prompt.type(CTRL_C)  # and what was typed meanwhile is forgotten: the terminal sees to that
    prompt.expect("memtrace spin: interrupted\n" + PROMPT)
    prompt.type(CTRL_D)
    assert prompt.process.wait(TIMEOUT) == 0
    assert "call" not in prompt.text


def test_interrupt_from_elsewhere_at_the_prompt(open_prompt, stub):
    """Stops nothing: not us, and not the command that comes next."""
    prompt = open_prompt(["--core", "/dev/null"], **stub)
    prompt.process.send_signal(signal.SIGINT)
    prompt.type("spin\n")
    prompt.expect("spinning")
    prompt.expect("spinning")
    prompt.type(CTRL_C)
    prompt.expect("memtrace spin: interrupted\n" + PROMPT)


@pytest.mark.parametrize("busy", [False, True])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_killed(open_prompt, stub, number, busy):
    prompt = open_prompt(["--core", "/dev/null"], **stub)
    if busy:
        prompt.type("spin\n")
        prompt.expect("spinning")
    else:
        prompt.type("half a li")
        prompt.expect("half a li")
    prompt.process.send_signal(number)
    assert prompt.process.wait(TIMEOUT) == -number
    assert prompt.terminal_is_restored()


def test_second_ctrl_c_ends_a_command_that_does_not_listen(open_prompt, stub):
    prompt = open_prompt(["--core", "/dev/null"], **stub)
    prompt.type("hang\n")
    prompt.expect("hang\n")
    wait_until(lambda: state_of(prompt.process.pid) == "S", "the command to hang")
    prompt.type(CTRL_C)
    time.sleep(0.3)
    assert state_of(prompt.process.pid) == "S"
    prompt.type(CTRL_C)
    assert prompt.process.wait(TIMEOUT) == -signal.SIGINT
    assert prompt.terminal_is_restored()


def test_width_follows_the_window(open_prompt, core):
    prompt = open_prompt()
    for columns in (60, 120):
        fcntl.ioctl(prompt.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        prompt.process.send_signal(signal.SIGWINCH)
        longest = max(map(len, prompt.ask("live --limit 40").splitlines()))
        assert columns / 2 < longest <= columns


def test_process_stands_still_until_the_end(open_prompt, process):
    executable = os.readlink(f"/proc/{process.pid}/exe")
    ready = rf"pid {process.pid} \({executable}\), which stands still .*\n{PROMPT}"
    prompt = open_prompt(["--pid", process.pid], ready=ready)
    assert state_of(process.pid) == "S"
    for _ in range(2):
        assert "(stopped pid" not in prompt.ask(f"peak --limit {ROWS}")
        assert state_of(process.pid) == "t"
    assert "is the start of a block" in prompt.ask("born 1")
    prompt.type(CTRL_D)
    assert prompt.process.wait(TIMEOUT) == 0
    assert "TracerPid:\t0\n" in pathlib.Path(f"/proc/{process.pid}/status").read_text()
    wait_until(lambda: state_of(process.pid) == "S", "the process to sleep again in its read")


def test_process_goes_on_when_the_prompt_is_killed(open_prompt, process):
    prompt = open_prompt(["--pid", process.pid], ready=rf"pid .*\n{PROMPT}")
    prompt.ask("status")
    prompt.process.kill()
    wait_until(lambda: state_of(process.pid) == "S", "the process to sleep again in its read")


def test_name_of_a_program_steers_nothing(open_prompt, tmp_path):
    copied = tmp_path / "na\u00efve\x1b[2J\u202e\n"
    copied.write_bytes(pathlib.Path("/bin/sleep").read_bytes())
    copied.chmod(0o755)
    with running([copied, "100"], ready=None) as sleeping:
        wait_until(lambda: os.readlink(f"/proc/{sleeping.pid}/exe") == str(copied), "the program to be executed")
        prompt = open_prompt(["--pid", sleeping.pid], LC_ALL="C.UTF-8", ready=r"pid .*\n")
        assert prompt.last.endswith("/na\u00efve\\x1b[2J\\xe2\\x80\\xae\\x0a), which stands still from the first command until you leave; help lists the commands, Ctrl-D ends\n")


def test_under_a_shell(core, tmp_path):
    """With job control: Ctrl-Z and back, what the shell's terminal is like after it, and the status."""
    shell = Terminal()
    try:
        shell.type("stty echo\n")  # without it readline shows nothing, as for passwords
        shell.type(f"export XDG_STATE_HOME='{tmp_path}'; '{COMMAND}' --core '{core}'\n")
        shell.expect(PROMPT)
        shell.type(CTRL_Z)
        shell.expect("Stopped")
        shell.type("stty -a | grep -o '[-]*icanon' | tr a-z A-Z\n")
        shell.expect(r"\nICANON\n")
        shell.type("fg\n")
        shell.expect(PROMPT)
        shell.type("help born\n")
        shell.expect(r"memtrace born \[OPTIONS\]")
        shell.expect(PROMPT)
        shell.type("bogus\n")
        shell.expect("unknown command")
        shell.expect(PROMPT)
        shell.type(CTRL_D)
        shell.expect("\n")
        shell.type("echo status=$?\n")
        shell.expect("status=0")
        shell.type(f"'{COMMAND}' --core '{core}' | cat\n")
        shell.expect(PROMPT)
        shell.type(f"peak --limit {ROWS}\n")
        shell.expect(r"(?s)(?=.*peak [\d.]+ MB.*set by)(?=.*\(memtrace\) )")  # in either order
        shell.type(CTRL_D)
        shell.type("echo do''ne\n")
        shell.expect("done")
    finally:
        shell.close()


# --- a script ---------------------------------------------------------------------------------------------------------


def test_script(core):
    lines = ["# what this is", "", f"peak --limit {ROWS}", "  # more", "memtrace born 1", "\t", "live --by file --json"]
    result = script(["--core", core], "\n".join(lines))  # without a newline at its end
    assert (result.returncode, result.stderr) == (0, "")
    assert re.match(r"peak [\d.]+ MB", result.stdout) and "\nrow 1 has " in result.stdout
    assert json.loads(result.stdout.splitlines()[-1])["command"] == "live"
    assert "memtrace)" not in result.stdout and "Ctrl-D" not in result.stdout and "try:" not in result.stdout
    assert script(["--core", core], "help born\r\nhelp peak\r\n").stdout.count("[OPTIONS]") == 2
    assert (script(["--core", core], "").stdout, script(["--core", core], "").returncode) == ("", 0)


def test_script_goes_on_after_an_error(core):
    result = script(["--core", core], "help born\nbogus\nborn 99 --json\nhelp peak\nquit\nhelp live\n")
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1 and "bogus" in result.stderr
    assert re.findall(r"^memtrace (\w+) \[OPTIONS\]", result.stdout, re.M) == ["born", "peak"]
    assert '"error":' in result.stdout


def test_script_keeps_no_history(core, tmp_path):
    environment = clean_environment(XDG_STATE_HOME=str(tmp_path), HOME=str(tmp_path))
    assert script(["--core", core], "help born\n", environment=environment).returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_script_on_a_process(process):
    result = script(["--pid", process.pid], f"status\npeak --limit {ROWS}\n")
    assert (result.returncode, result.stderr) == (0, "")
    assert "(stopped pid" not in result.stdout
    wait_until(lambda: state_of(process.pid) == "S", "the process to sleep again in its read")


@pytest.mark.parametrize("text", ["", "peak\n"])
def test_nothing_to_open(text, tmp_path):
    for arguments, words in ((["--core", tmp_path / "none"], "can't open"), (["--pid", 2**31 - 1], "no process")):
        result = script(arguments, text)
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr.count("\n") == 1 and words in result.stderr


def test_script_that_can_not_be_read(core, tmp_path):
    directory = os.open(tmp_path, os.O_RDONLY)
    command = [COMMAND, "--core", core]
    result = subprocess.run(command, env=clean_environment(), stdin=directory, capture_output=True, text=True, timeout=TIMEOUT)
    os.close(directory)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.count("\n") == 1 and "Is a directory" in result.stderr


@pytest.mark.parametrize("busy", [False, True])
def test_interrupted_script(stub, busy):
    """A command is stopped, and what follows is not begun; while we wait for a line we just end."""
    process = subprocess.Popen(
        [COMMAND, "--core", "/dev/null"],
        env=clean_environment(**stub),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdin.write("again\n" + busy * "spin\nagain\n")
    process.stdin.flush()
    wait_until(lambda: state_of(process.pid) == ("R" if busy else "S"), "the script's lines to be read")
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=TIMEOUT)
    if busy:
        assert (process.returncode, out) == (1, "[again\n] call 1 script\n")
        assert "memtrace spin: interrupted\n" in err and "the script ends here" in err
    else:
        assert (process.returncode, out, err) == (-signal.SIGINT, "[again\n] call 1 script\n", "")
