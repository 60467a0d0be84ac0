"""Processes that can't be given the recorder: refused in one line that says why, in every door, with nothing changed in them."""

import contextlib
import json
import os
import pathlib
import shutil
import tempfile

import pytest

import roots
from doors import DOORS, Target
from interpreters import SYSTEM
from recording import begin, compiled, idle
from stubs import CONNECT, PAIRS, server
from surroundings import BUILD, PROGRAMS, RECORDER, ROOT, TIMEOUT, bare_environment, run, running, wait_until_asleep


def maps(pid):
    return pathlib.Path(f"/proc/{pid}/maps").read_text()


def go_on(process, said="done"):
    process.stdin.write("x")
    process.stdin.flush()
    assert process.stdout.readline() == f"{said}\n"


def end(process):
    go_on(process)
    assert process.wait(TIMEOUT) == 0


@contextlib.contextmanager
def folder_for_all():
    """One that any user can read, as pytest's are not."""
    with tempfile.TemporaryDirectory(prefix="memtrace-for-all-", dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        yield pathlib.Path(folder)


def check_refused(process, expected, doors=tuple(DOORS), command="record"):
    """`expected` with the process's number for PID."""
    before = maps(process.pid)
    for name in doors:
        answer = DOORS[name](Target(pid=process.pid), [command])[0]
        assert answer.failed, (name, answer.text)
        assert answer.text.strip() == "memtrace record: " + expected.replace("PID", str(process.pid)), name
        assert maps(process.pid) == before, name


RUN_IT = "start it recorded, `memtrace run -- PROGRAM`"
STATIC = "process PID is a static program, which loads no libraries: it can't be recorded"
MUSL = "process PID uses musl: the recorder needs the GNU C library, 2.28 or newer"
PROGRAMS_OF = {
    "static": ("gcc", "waits.c", ["-static"], STATIC),
    "musl": ("musl-gcc", "waits.c", [], MUSL),
    "static musl": ("musl-gcc", "waits.c", ["-static"], STATIC),
    "32 bits": (
        "gcc",
        "waits_32.c",
        ["-m32", "-nostdlib", "-static", "-fno-stack-protector", "-fno-pie", "-no-pie"],
        "process PID is no x86-64 program: the recorder can't be loaded into it",
    ),
}


@pytest.mark.parametrize("kind", PROGRAMS_OF)
def test_programs_of_another_kind(kind, tmp_path):
    compiler, source, options, expected = PROGRAMS_OF[kind]
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    program = compiled(tmp_path / "program", PROGRAMS / source, *options, compiler=compiler)
    with running([program], bare_environment()) as process:
        check_refused(process, expected)
        end(process)


def test_no_room_for_thread_local_storage(tmp_path):
    """Other libraries have used up what the loader keeps of it."""
    source = PROGRAMS / "full_tls.c"
    program = compiled(tmp_path / "program", source)
    libraries = []
    for size, count in ((256, 10), (8, 40)):
        first = compiled(tmp_path / f"{size}.so", source, "-shared", "-fPIC", f"-DBYTES={size}")
        libraries += [shutil.copy(first, tmp_path / f"{size}-{number}.so") for number in range(count)]
    with running([program, *libraries], bare_environment()) as process:
        said = f"the process's loader refused the recorder: {RECORDER}: cannot allocate memory in static TLS block"
        check_refused(process, f"{said}: {RUN_IT}")
        end(process)


NO_CODE = f"process PID may not map memory to run code in (seccomp, SELinux, MemoryDenyWriteExecute, a limit): {RUN_IT}"


def test_memory_is_writable_or_executable():
    """As systemd's MemoryDenyWriteExecute has it."""
    deny = "import ctypes; denied = ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) == 0; "  # PR_SET_MDWE
    with running([SYSTEM, "-c", deny + "print('ready' if denied else 'no', flush=True); input(); print('done', flush=True)"],
                 bare_environment(), ready=None) as process:  # fmt: skip
        if process.stdout.readline() == "no\n":
            pytest.skip("this kernel has no PR_SET_MDWE")
        wait_until_asleep(process)
        check_refused(process, f"{NO_CODE}: Permission denied", ["memtrace", "gdb"])
        process.stdin.write("x\n")
        process.stdin.flush()
        assert process.stdout.readline() == "done\n"


# --- seccomp ----------------------------------------------------------------------------------------------------------

# Of x86-64.
CALLS = {
    "read": 0,
    "write": 1,
    "close": 3,
    "fstat": 5,
    "mmap": 9,
    "mprotect": 10,
    "munmap": 11,
    "brk": 12,
    "rt_sigaction": 13,
    "rt_sigreturn": 15,
    "pread64": 17,
    "sched_yield": 24,
    "msync": 26,
    "madvise": 28,
    "getpid": 39,
    "exit": 60,
    "uname": 63,
    "prctl": 157,
    "gettid": 186,
    "futex": 202,
    "restart_syscall": 219,
    "exit_group": 231,
    "tgkill": 234,
    "openat": 257,
    "newfstatat": 262,
    "process_vm_readv": 310,
    "getrandom": 318,
    "memfd_create": 319,
}
NEVER = "it can't be recorded"
FILTERS = {
    ("kill", "openat"): f"the seccomp filter of process PID would kill it for openat: {RUN_IT}",
    ("kill", "code"): f"the seccomp filter of process PID would kill it for mmap of memory to run code in: {RUN_IT}",
    ("trap", "gettid"): f"the seccomp filter of process PID would kill it for gettid: {NEVER}",
    ("kill", "sched_yield"): f"the seccomp filter of process PID would kill it for sched_yield: {NEVER}",
    ("EPERM", "code"): f"the seccomp filter of process PID forbids mmap of memory to run code in (EPERM): {RUN_IT}",
    ("EPERM", "protect"): f"the seccomp filter of process PID forbids mprotect (EPERM): {NEVER}",
    ("EPERM", "openat"): f"the seccomp filter of process PID forbids openat (EPERM): {RUN_IT}",
}
UNREADABLE = (
    "process PID has a seccomp filter, which may kill it for what recording takes, and which can't be read here: "
    "`memtrace --pid PID record` as root reads it; --force takes the risk"
)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may read seccomp filters")


@pytest.fixture(scope="module")
def filtered():
    with folder_for_all() as folder:
        program = compiled(folder / "program", PROGRAMS / "filtered.c")

        def start(*words, inside=()):
            return running([*inside, program, *(CALLS.get(word, word) for word in words)], bare_environment())

        yield start


def end_filtered(process):
    go_on(process, "allocated")
    end(process)


def check_filtered_is_recorded(process, door, *commands):
    answers = DOORS[door](Target(pid=process.pid), commands)
    assert not answers[-1].failed, (door, answers[-1].text)
    go_on(process, "allocated")
    live = DOORS["memtrace"](Target(pid=process.pid), ["live --json"])[0].json()
    assert live["live_bytes"] == 123456, live
    end(process)


@needs_root
@pytest.mark.parametrize("action, call", FILTERS)
def test_filter_that_forbids(filtered, action, call):
    """The filter is asked, not tried."""
    with filtered(action, call) as process:
        check_refused(process, FILTERS[action, call], ["memtrace", "gdb"])
        end_filtered(process)


# memfd_create is the last. Debuggers, which have breakpoints, take rt_sigaction too.
ALLOWED = [name for name in CALLS if name not in ("uname", "rt_sigaction")]


@needs_root
@pytest.mark.parametrize("door", ["memtrace", "gdb"])
def test_filter_that_allows(filtered, door):
    """All that is asked for is all that is called: the filter kills for any other call."""
    more = {"memtrace": [], "gdb": ["rt_sigaction"]}[door]
    with filtered("only", *ALLOWED[:-1], *more) as process:
        check_filtered_is_recorded(process, door, "record", "record stop", "record")


@needs_root
def test_filter_that_forbids_debuggers(filtered):
    with filtered("kill", "rt_sigaction") as process:
        expected = f"the seccomp filter of process PID would kill it for rt_sigaction: {RUN_IT}"
        check_refused(process, expected, ["gdb"])
        check_filtered_is_recorded(process, "memtrace", "record")


@needs_root
@pytest.mark.parametrize("suite", ["trixie", "forky"])
def test_filter_that_allows_what_other_c_libraries_call(filtered, suite):
    with filtered("only", *ALLOWED[:-1], inside=roots.inside(suite)) as process:
        check_filtered_is_recorded(process, "memtrace", "record", "record stop", "record")


@needs_root
def test_filter_and_a_recorder_in_memory(filtered):
    """Where the process does not see the recorder's file, memfd_create is taken too."""
    hide = f'mount -t tmpfs none {RECORDER.parent} && exec "$@"'
    inside = ["unshare", "-m", "--propagation", "private", "sh", "-c", hide, "sh"]
    with filtered("only", *ALLOWED, inside=inside) as process:
        check_filtered_is_recorded(process, "memtrace", "record", "record stop", "record")
    with filtered("kill", "memfd_create", inside=inside) as process:
        expected = f"the seccomp filter of process PID would kill it for memfd_create: {RUN_IT}"
        check_refused(process, expected, ["memtrace"])
        end_filtered(process)


def test_filter_in_lldb(filtered):
    """Its server traces the process: the filter can't be read."""
    with filtered("kill", "openat") as process:
        check_refused(process, UNREADABLE, ["lldb"])
        end_filtered(process)
    with filtered("kill", "uname") as process:
        check_filtered_is_recorded(process, "lldb", "record --force")
    with filtered("EPERM", "code") as process:
        check_refused(process, f"{NO_CODE}: Operation not permitted", ["lldb"], "record --force")
        end_filtered(process)
    with filtered("EPERM", "protect") as process:
        answer = DOORS["lldb"](Target(pid=process.pid), ["record --force"])[0]
        said = f"the process may not change its libraries' tables (SELinux, seccomp): {RUN_IT}"
        assert answer.failed and answer.text.strip() == f"memtrace record: {said}", answer.text
        assert not DOORS["memtrace"](Target(pid=process.pid), ["status --json"])[0].json()["recording"]
        end_filtered(process)


def test_strict_seccomp(filtered):
    expected = "process PID may make no system calls (strict seccomp): nothing can be loaded into it"
    with filtered("strict") as process:
        check_refused(process, expected)
        end_filtered(process)


# --- not recorded -----------------------------------------------------------------------------------------------------


def test_a_process_that_is_not_recorded_can_be():
    """What needs a recording names the command that begins one, as it is said in that door."""
    with idle("read") as process:
        begin(process)
        target = Target(pid=process.pid)
        for name, command in (("memtrace", "mark"), ("gdb", "break --heap 3M"), ("gdb", "next"), ("lldb", "break --heap 3M")):
            said = "process PID: `memtrace --pid PID record`" if name == "memtrace" else "this process: `memtrace record`"
            expected = f"nothing is recorded in {said} begins here and now".replace("PID", str(process.pid))
            answer = DOORS[name](target, [command])[0]
            assert answer.failed and answer.text.strip() == f"memtrace {command.split(' --')[0]}: {expected}", name
        degraded = DOORS["memtrace"](target, ["status --json"])[0].json()["degraded"]
        assert [lack["supply"] for lack in degraded] == ["memtrace record, here and now"]
        assert not DOORS["memtrace"](target, ["record"])[0].failed
        assert not DOORS["memtrace"](target, ["mark"])[0].failed


@pytest.mark.parametrize("debugger, stub", PAIRS)
@pytest.mark.parametrize("command", ["break --heap 3M", "record"])
def test_behind_a_stub_it_is_recorded_elsewhere(debugger, stub, command):
    with idle("read") as process:
        begin(process)
        with server(stub, process.pid) as address:
            answer = DOORS[debugger](Target(), [command], before=[f"{CONNECT[debugger]} {address}"])[0]
        assert answer.failed and "on its own machine" in answer.text, answer.text


# --- other users ------------------------------------------------------------------------------------------------------

NOBODY = 65534
AS_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
WAIT = "import os, sys; print('ready', flush=True); os.read(0, 1); block = bytearray(5_000_000); print('allocated', flush=True)"
WAIT += "; os.read(0, 1); print('done', flush=True)"
UNDUMPABLE = "import ctypes; ctypes.CDLL(None).prctl(4, 0, 0, 0, 0); "  # PR_SET_DUMPABLE


@pytest.fixture(scope="module")
def installed():
    """Where everybody can read it; as a function that asks there, without privileges."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root, with setpriv, can become somebody else")
    with folder_for_all() as folder:
        made = run(["make", "-C", ROOT, "-s", "install", f"BUILD={BUILD}", f"PREFIX={folder}"], bare_environment())
        assert made.returncode == 0, made.stderr
        yield folder


def ask_as_nobody(installed, pid, *command, before=()):
    return run([*before, *AS_NOBODY, installed / "bin/memtrace", "--pid", pid, *command], bare_environment())


def test_own_process_of_a_user(installed):
    with running([*AS_NOBODY, SYSTEM, "-c", WAIT], bare_environment()) as process:
        for command in (["record"], ["record", "stop"], ["record"]):
            result = ask_as_nobody(installed, process.pid, *command)
            assert result.returncode == 0, result.stderr
        go_on(process, "allocated")
        live = json.loads(ask_as_nobody(installed, process.pid, "live", "--json").stdout)
        assert live["rows"][0]["live_bytes"] - 5_000_001 in range(1, 100), live["rows"][:2]
        end(process)


def test_own_process_of_a_user_in_gdb(installed):
    attach = ["gdb", "-nx", "-batch", "-iex", "set debuginfod enabled off", "-p"]
    with running([*AS_NOBODY, SYSTEM, "-c", WAIT], bare_environment()) as process:
        script = ["-ex", f"source {installed}/share/memtrace/gdb/memtrace.py", "-ex", "memtrace record"]
        result = run([*AS_NOBODY, *attach, process.pid, *script], bare_environment(HOME="/nonexistent"))
        assert "recording, level objects" in result.stdout, result.stdout + result.stderr
        go_on(process, "allocated")
        end(process)


def check_refused_to_nobody(installed, process, expected, before=()):
    result = ask_as_nobody(installed, process.pid, "record", before=before)
    assert result.returncode == 1
    assert result.stderr.strip() == f"memtrace record: {expected}".replace("PID", str(process.pid))
    go_on(process, "allocated")
    end(process)


ROOT_MAY = "Run as root, or with CAP_SYS_PTRACE"


def test_process_of_another_user(installed):
    with running([SYSTEM, "-c", WAIT], bare_environment()) as process:
        check_refused_to_nobody(installed, process, f"may not read pid PID: it belongs to user 0. {ROOT_MAY}")


def test_process_that_hides_its_memory(installed):
    with running([*AS_NOBODY, SYSTEM, "-c", UNDUMPABLE + WAIT], bare_environment()) as process:
        expected = f"may not read pid PID: the kernel forbids it here (ptrace). {ROOT_MAY}"
        check_refused_to_nobody(installed, process, expected)


@pytest.mark.parametrize(
    "scope, reason",
    [
        (1, f"Yama allows only its parent (kernel.yama.ptrace_scope=1). {ROOT_MAY}"),
        (2, f"Yama allows only administrators (kernel.yama.ptrace_scope=2). {ROOT_MAY}"),
        (3, "Yama allows nobody (kernel.yama.ptrace_scope=3). Take a core file, and ask that"),
    ],
)
def test_yama_is_named(installed, scope, reason):
    """Its setting is made up, in a name space of its own; what it would forbid is forbidden by other means."""
    pretend = f'mount -t tmpfs none /proc/sys/kernel && mkdir /proc/sys/kernel/yama && echo {scope} > /proc/sys/kernel/yama/'
    before = ["unshare", "-m", "--propagation", "private", "sh", "-c", pretend + 'ptrace_scope && exec "$@"', "sh"]
    with running([*AS_NOBODY, SYSTEM, "-c", UNDUMPABLE + WAIT], bare_environment()) as process:
        check_refused_to_nobody(installed, process, f"may not read pid PID: {reason}", before)


def test_filter_of_a_user_is_unreadable(installed, filtered):
    with filtered("kill", "uname", inside=AS_NOBODY) as process:
        result = ask_as_nobody(installed, process.pid, "record")
        assert result.stderr.strip() == "memtrace record: " + UNREADABLE.replace("PID", str(process.pid))
        result = ask_as_nobody(installed, process.pid, "record", "--force")
        assert result.returncode == 0, result.stderr
        end_filtered(process)
