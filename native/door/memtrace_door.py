"""The one ctypes binding of libmemtrace.so, shared by gdb/memtrace.py and lldb/memtrace_lldb.py.

An adapter derives from Host, says what its debugger can do, and hands whole command lines to a Door. Parsing, analysis
and formatting happen in the library (native/memtrace.h is the contract that this file mirrors).

Standard library only: this runs in the Python that is embedded in a debugger.
"""

import ctypes
import importlib.util
import json
import os
import sys
import time

ABI = 5

NONE, LIVE, CORE, REMOTE = range(4)  # enum mt_host_kind
READ, WRITE, EXECUTE = 1, 2, 4  # flags of a region

SUCCESS, INTERRUPTED, FAILED = 0, 1, -1  # what a callback returns
GO_ON = 2  # MT_ANSWER_GO_ON
DETACH = "detach"  # MT_REACHED_DETACH
RESUMED = "resumed"  # MT_REACHED_RESUMED
RESUME = 3  # MT_ANSWER_RESUME

PAGE = 4096
PROGRESS_INTERVAL = 0.25  # seconds: a console line is rewritten at most four times a second


class DoorError(Exception):
    """The library can't be used; the text is one line that says what to do."""


class HostError(Exception):
    """The debugger refused a request: an everyday answer (unreadable memory, no such symbol), told to the library as a
    failure and not reported as a defect."""


class Description:
    """What the debugger has in its hands: struct mt_host_description."""

    def __init__(self, kind=NONE, pid=0, running=False, local=False, generation=0, executable=None, core=None):
        self.kind = kind
        self.pid = pid
        self.running = running
        self.local = local
        self.generation = generation
        self.executable = executable
        self.core = core


class Host:
    """What an adapter overrides. A method raises HostError when its debugger can't do it."""

    def describe(self):
        return Description()

    def read(self, address, size):
        """The bytes from `address` on, at most `size`. Fewer, none or HostError: something there can't be read."""
        raise HostError("not offered")

    def write(self, address, data):
        """The number of bytes written."""
        raise HostError("not offered")

    def find_symbol(self, name):
        """The address of it."""
        raise HostError("not offered")

    def regions(self):
        """(start, end, flags, offset of its start in the file, path or None) of each mapping."""
        raise HostError("not offered")

    def evaluate(self, expression):
        """An expression of the user to an address."""
        raise HostError("not offered")

    def set_environment(self, name, value):
        """Of the next run; None takes the name out."""
        raise HostError("not offered")

    def get_environment(self, name):
        """What the next run would find; None: nothing."""
        return None

    def width(self):
        """Columns; 0: unlimited."""
        return 0

    def is_interactive(self):
        """Whether somebody looks on: the library then shows progress and hints. Asked once."""
        return False

    def progress(self, line):
        """One line on the console; None erases it."""

    def interrupted(self):
        return False

    def set_variable(self, name, value):
        raise HostError("not offered")

    def settings_changed(self, values):
        """{setting: value} after `memtrace set`, for what a debugger does about them itself."""

    def threads(self):
        """(kernel's number or 0, whether it is the selected one, {register: value} or None) of each thread."""
        raise HostError("not offered")

    def set_registers(self, tid, registers):
        """`registers`: {name: value} of all REGISTERS."""
        raise HostError("not offered")

    def backtrace(self, tid):
        """(pc, stack pointer, function or None, path of its module or None) of each native frame, innermost first. Lazily: not
        all of them may be wanted."""
        raise HostError("not offered")

    def search(self, start, size, pattern):
        """The first address of the bytes `pattern` in the `size` bytes from `start` on, or None. Only where it is faster
        than reading."""
        raise HostError("not offered")

    def stop_at(self, symbol, on):
        """An internal breakpoint on a function. When it is hit: Door.reached."""
        raise HostError("not offered")

    def watch(self, address, size, on):
        """An internal hardware watchpoint on writes. When it is hit: Door.reached."""
        raise HostError("not offered")

    def resume(self):
        """Lets the process run until it stops again, for the user (not a callback: called when the library is done)."""
        raise HostError("not offered")

    def run_to(self, tid, addresses, milliseconds):
        """(number of the thread, index of the address that it reached or None): see run_to in native/memtrace.h."""
        raise HostError("not offered")

    def fetch_file(self, path, fd):
        """Writes a file of the machine that a remote process runs on to the open file `fd`."""
        raise HostError("not offered")


# Of the kernel's struct user_regs_struct, in its order.
REGISTERS = (
    "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base ds es fs gs"
).split()

_I32, _U32, _U64 = ctypes.c_int32, ctypes.c_uint32, ctypes.c_uint64
_POINTER, _STRING = ctypes.c_void_p, ctypes.c_char_p


class _Description(ctypes.Structure):
    _fields_ = [
        ("kind", _I32),
        ("pid", _I32),
        ("running", _I32),
        ("local", _I32),
        ("generation", _U64),
        ("executable", _STRING),
        ("core", _STRING),
    ]


_RESULT = ctypes.POINTER(_U64)
_EMIT = ctypes.CFUNCTYPE(None, _POINTER, _U64, _U64, _U32, _U64, _STRING)
_REGISTERS = _U64 * len(REGISTERS)
_EMIT_THREAD = ctypes.CFUNCTYPE(None, _POINTER, _U64, _U32, ctypes.POINTER(_REGISTERS))
_EMIT_FRAME = ctypes.CFUNCTYPE(_I32, _POINTER, _U64, _U64, _STRING, _STRING)

# struct mt_host, in its order: name, prototype, what the library gets when the call fails, and when the user
# interrupts.
_CALLBACKS = [
    ("describe", ctypes.CFUNCTYPE(_I32, _POINTER, ctypes.POINTER(_Description)), FAILED, INTERRUPTED),
    ("read", ctypes.CFUNCTYPE(_I32, _POINTER, _U64, _POINTER, _U64, _RESULT), FAILED, INTERRUPTED),
    ("write", ctypes.CFUNCTYPE(_I32, _POINTER, _U64, _POINTER, _U64, _RESULT), FAILED, INTERRUPTED),
    ("find_symbol", ctypes.CFUNCTYPE(_I32, _POINTER, _STRING, _RESULT), FAILED, INTERRUPTED),
    ("regions", ctypes.CFUNCTYPE(_I32, _POINTER, _EMIT, _POINTER), FAILED, INTERRUPTED),
    ("evaluate", ctypes.CFUNCTYPE(_I32, _POINTER, _STRING, _RESULT), FAILED, INTERRUPTED),
    ("set_environment", ctypes.CFUNCTYPE(_I32, _POINTER, _STRING, _STRING), FAILED, INTERRUPTED),
    # Returns an address, not a c_char_p: ctypes would not keep a returned bytes object alive.
    ("get_environment", ctypes.CFUNCTYPE(_POINTER, _POINTER, _STRING), None, None),
    ("width", ctypes.CFUNCTYPE(_I32, _POINTER), 0, 0),
    ("progress", ctypes.CFUNCTYPE(None, _POINTER, _STRING), None, None),
    ("interrupted", ctypes.CFUNCTYPE(_I32, _POINTER), 0, 1),
    ("set_variable", ctypes.CFUNCTYPE(_I32, _POINTER, _STRING, _U64), FAILED, INTERRUPTED),
    ("threads", ctypes.CFUNCTYPE(_I32, _POINTER, _EMIT_THREAD, _POINTER), FAILED, INTERRUPTED),
    ("set_registers", ctypes.CFUNCTYPE(_I32, _POINTER, _U64, ctypes.POINTER(_REGISTERS)), FAILED, INTERRUPTED),
    ("backtrace", ctypes.CFUNCTYPE(_I32, _POINTER, _U64, _EMIT_FRAME, _POINTER), FAILED, INTERRUPTED),
    ("search", ctypes.CFUNCTYPE(_I32, _POINTER, _U64, _U64, _POINTER, _U64, _RESULT), FAILED, INTERRUPTED),
    ("stop_at", ctypes.CFUNCTYPE(_I32, _POINTER, _STRING, _U32), FAILED, INTERRUPTED),
    ("watch", ctypes.CFUNCTYPE(_I32, _POINTER, _U64, _U32, _U32), FAILED, INTERRUPTED),
    ("run_to", ctypes.CFUNCTYPE(_I32, _POINTER, _U64, _RESULT, _U64, _U32, _RESULT, _RESULT), FAILED, INTERRUPTED),
    ("fetch_file", ctypes.CFUNCTYPE(_I32, _POINTER, _STRING, _I32), FAILED, INTERRUPTED),
]


class _HostTable(ctypes.Structure):
    _fields_ = [("context", _POINTER)] + [(name, prototype) for name, prototype, _, _ in _CALLBACKS]


_SIGNATURES = [
    ("mt_version", _STRING, []),
    ("mt_session_create", _POINTER, [ctypes.POINTER(_HostTable), _STRING]),
    ("mt_session_run", _POINTER, [_POINTER, _STRING]),
    ("mt_session_reached", _POINTER, [_POINTER, _STRING, _U64, _U64]),
    ("mt_answer_status", _I32, [_POINTER]),
    ("mt_answer_text", _POINTER, [_POINTER]),
    ("mt_answer_length", ctypes.c_size_t, [_POINTER]),
    ("mt_command_count", ctypes.c_size_t, []),
    ("mt_command_name", _STRING, [ctypes.c_size_t]),
    ("mt_command_summary", _STRING, [ctypes.c_size_t]),
    ("mt_command_help", _STRING, [ctypes.c_size_t]),
    ("mt_complete", _STRING, [_POINTER, _STRING]),
    ("mt_alarm_create", _POINTER, [_I32, _U32]),
    ("mt_alarm_has_rung", _I32, [_POINTER]),
    ("mt_alarm_destroy", None, [_POINTER]),
]


def _text(value):
    return value.decode("utf-8", "surrogateescape")


def _bytes(value):
    return None if value is None else value.encode("utf-8", "surrogateescape")


def library_path(adapter_file):
    """libmemtrace.so for the adapter in `adapter_file`: $MEMTRACE_LIBRARY, the build beside the adapter, or what `make
    install` put into lib/ for an adapter in share/memtrace/."""
    chosen = os.environ.get("MEMTRACE_LIBRARY")
    above = os.path.dirname(os.path.dirname(os.path.realpath(adapter_file)))
    built = os.path.join(above, "build", "libmemtrace.so")
    installed = os.path.join(above, "..", "..", "lib", "memtrace", "libmemtrace.so")
    path = os.path.realpath(chosen or (built if os.path.isfile(built) or not os.path.isfile(installed) else installed))
    if not os.path.isfile(path):
        advice = "set MEMTRACE_LIBRARY to libmemtrace.so" if chosen else "run `make`, or set MEMTRACE_LIBRARY"
        raise DoorError("memtrace: no library at %s: %s" % (path, advice))
    return path


class Library:
    """The loaded libmemtrace.so, and its command table."""

    def __init__(self, path):
        self.directory = os.path.dirname(path)
        try:
            self.calls = ctypes.CDLL(path, mode=os.RTLD_LOCAL | os.RTLD_NOW)
            self.calls.mt_abi.restype, self.calls.mt_abi.argtypes = ctypes.c_uint, []
            abi = self.calls.mt_abi()
        except (OSError, AttributeError) as problem:
            raise DoorError("memtrace: can't load %s: %s" % (path, problem)) from None
        if abi != ABI:
            mismatch = "memtrace: %s has interface %d, this adapter speaks %d: use the two of one build"
            raise DoorError(mismatch % (path, abi, ABI))
        for name, result, arguments in _SIGNATURES:
            call = getattr(self.calls, name)
            call.restype, call.argtypes = result, arguments

    def commands(self):
        """(name, summary, help) of each command; a subcommand's name has a space."""
        calls = self.calls
        return [
            (_text(calls.mt_command_name(i)), _text(calls.mt_command_summary(i)), _text(calls.mt_command_help(i)))
            for i in range(calls.mt_command_count())
        ]


class Door:
    """One session of the library behind one debugger."""

    def __init__(self, library, host):
        self.library = library
        self._calls = library.calls
        self._host = host
        self._problem = None
        self._progress_shown_at = None
        self._is_busy = False
        self._kept = {}  # strings that the library may look at until the next call
        self._table = _HostTable()  # also keeps the callbacks alive
        for name, prototype, failed, stopped in _CALLBACKS:
            if name != "progress" or host.is_interactive():
                setattr(self._table, name, prototype(self._guarded(name, failed, stopped)))
        self._session = self._calls.mt_session_create(ctypes.byref(self._table), os.fsencode(library.directory))
        if not self._session:
            raise DoorError("memtrace: no memory for a session")

    def run(self, command_line):
        """(True and the answer, or False and the error's one line)."""
        answered, text = self._run(command_line)
        words = command_line.split(None, 1)
        if answered and words and "set".startswith(words[0]):
            self._host.settings_changed({row["name"]: row["value"] for row in self.settings()})
        return answered, text

    def settings(self):
        """The rows of `memtrace show --json`; none where there are none."""
        answered, text = self._run("show --json")
        return json.loads(text)["rows"] if answered else []

    def _run(self, command_line):
        status, text = self._ask(lambda: self._calls.mt_session_run(self._session, _bytes(command_line)))
        if status == RESUME:
            self._host.resume()
            _, text = self.reached(RESUMED, 0, 0)
            status = 0
        return status == 0, text

    def reached(self, what, address, tid):
        """A thread reached what stop_at or watch had asked for. (whether to stay stopped, the text to show: where it
        stays that is the reason). Also told (DETACH, number of the process, 0) where the debugger lets go of it, and
        (RESUMED, 0, 0) where it has come to a stop, or its end."""
        if self._is_busy:  # the library itself lets the process run (run_to), and waits for something else
            return False, ""
        status, text = self._ask(lambda: self._calls.mt_session_reached(self._session, _bytes(what), address, tid))
        return status != GO_ON, text

    def _ask(self, call):
        self._problem = None
        self._progress_shown_at = None
        unraisable, sys.unraisablehook = sys.unraisablehook, self._keep_interruption
        self._is_busy = True
        try:
            answer = call()
        finally:
            self._is_busy = False
            sys.unraisablehook = unraisable
        text = ctypes.string_at(self._calls.mt_answer_text(answer), self._calls.mt_answer_length(answer))
        status = self._calls.mt_answer_status(answer)
        problem, self._problem = self._problem, None
        # The library words an interruption itself; a defect of the adapter must not look like a fact about the process.
        if problem is not None and (status == 0 or not isinstance(problem, KeyboardInterrupt)):
            raise problem
        return status, text.decode("utf-8", "replace")

    def complete(self, line):
        """Whole words for the last word of a half-typed line."""
        candidates = self._calls.mt_complete(self._session, _bytes(line))
        return [word for word in _text(candidates or b"").split("\n") if word]

    # The callbacks. ctypes swallows what escapes from one and hands the library a stale value, so nothing may escape;
    # an output is set last, so that a callback that died half-way is a failure to the library.

    def _keep_interruption(self, unraisable):
        # Python may raise a Ctrl-C on the very entry of a callback, before any `try`: this is where it then turns up.
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            self._problem = KeyboardInterrupt()
        else:
            sys.__unraisablehook__(unraisable)

    def _guarded(self, name, failed, stopped):
        method = getattr(self, "_" + name)

        def callback(context, *arguments):
            try:
                return method(*arguments)
            except HostError:
                return failed
            except KeyboardInterrupt as interruption:
                self._problem = interruption
                return stopped
            except BaseException as problem:
                self._problem = self._problem or problem
                return failed

        return callback

    def _describe(self, ret):
        description = self._host.describe()
        self._kept["executable"], self._kept["core"] = _bytes(description.executable), _bytes(description.core)
        ret[0] = _Description(
            description.kind,
            description.pid,
            int(description.running),
            int(description.local),
            description.generation & 0xFFFFFFFFFFFFFFFF,
            self._kept["executable"],
            self._kept["core"],
        )
        return SUCCESS

    def _read(self, address, buffer, size, ret_got):
        data = self._read_all(address, size) or self._read_up_to_hole(address, size)
        ctypes.memmove(buffer, data, len(data))
        ret_got[0] = len(data)
        return SUCCESS if data else FAILED

    def _read_all(self, address, size):
        try:
            return self._host.read(address, size)[:size]
        except HostError:
            return b""

    def _read_up_to_hole(self, address, size):
        """For debuggers that read all or nothing: page by page, in steps that double while they succeed."""
        readable = bytearray()
        step = PAGE - address % PAGE
        while step and len(readable) < size:
            data = self._read_all(address + len(readable), min(step, size - len(readable)))
            readable += data
            step = step * 2 if data else step // 2 // PAGE * PAGE
        return bytes(readable)

    def _write(self, address, buffer, size, ret_put):
        ret_put[0] = self._host.write(address, ctypes.string_at(buffer, size))
        return SUCCESS

    def _find_symbol(self, name, ret):
        ret[0] = self._host.find_symbol(_text(name))
        return SUCCESS

    def _regions(self, emit, cookie):
        for start, end, flags, offset, path in self._host.regions():
            emit(cookie, start, end, flags, offset, _bytes(path))
        return SUCCESS

    def _evaluate(self, expression, ret):
        ret[0] = self._host.evaluate(_text(expression)) & 0xFFFFFFFFFFFFFFFF
        return SUCCESS

    def _set_environment(self, name, value):
        self._host.set_environment(_text(name), None if value is None else _text(value))
        return SUCCESS

    def _get_environment(self, name):
        value = self._host.get_environment(_text(name))
        if value is None:
            return None
        self._kept["environment"] = ctypes.create_string_buffer(_bytes(value))
        return ctypes.addressof(self._kept["environment"])

    def _width(self):
        return self._host.width()

    def _progress(self, line):
        now = time.monotonic()
        if line is None:
            if self._progress_shown_at is not None:
                self._progress_shown_at = None
                self._host.progress(None)
        elif self._progress_shown_at is None or now - self._progress_shown_at >= PROGRESS_INTERVAL:
            self._progress_shown_at = now
            self._host.progress(_text(line))

    def _interrupted(self):
        return int(isinstance(self._problem, KeyboardInterrupt) or self._host.interrupted())

    def _set_variable(self, name, value):
        self._host.set_variable(_text(name), value)
        return SUCCESS

    def _threads(self, emit, cookie):
        for tid, selected, registers in self._host.threads():
            words = registers and _REGISTERS(*(registers.get(name, 0) & 0xFFFFFFFFFFFFFFFF for name in REGISTERS))
            emit(cookie, tid, int(selected), words and ctypes.pointer(words))
        return SUCCESS

    def _set_registers(self, tid, registers):
        self._host.set_registers(tid, dict(zip(REGISTERS, registers[0])))
        return SUCCESS

    def _backtrace(self, tid, emit, cookie):
        for pc, stack_pointer, function, module in self._host.backtrace(tid):
            if emit(cookie, pc, stack_pointer, _bytes(function), _bytes(module)):
                break
        return SUCCESS

    def _search(self, start, size, pattern, pattern_size, ret):
        ret[0] = self._host.search(start, size, ctypes.string_at(pattern, pattern_size)) or 0
        return SUCCESS

    def _stop_at(self, symbol, on):
        self._host.stop_at(_text(symbol), bool(on))
        return SUCCESS

    def _watch(self, address, size, on):
        self._host.watch(address, size, bool(on))
        return SUCCESS

    def _run_to(self, tid, addresses, count, milliseconds, ret_tid, ret_index):
        reached_by, index = self._host.run_to(tid, addresses[:count], milliseconds)
        ret_tid[0], ret_index[0] = reached_by, count if index is None else index
        return SUCCESS

    def _fetch_file(self, path, fd):
        self._host.fetch_file(_text(path), fd)
        return SUCCESS


def load_beside(file, name):
    """The module in `name`.py beside `file`, by its path: no folder of ours may be on sys.path, where it would hide a
    debugger's own module. From then on the others find it by `import`, as they do this one."""
    path = os.path.join(os.path.dirname(os.path.realpath(file)), name + ".py")
    specification = importlib.util.spec_from_file_location(name, path)
    module = sys.modules[name] = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def process_status(pid):
    """{field: value} of /proc/PID/status; empty when there is no such process."""
    try:
        with open("/proc/%d/status" % pid, encoding="utf-8", errors="replace") as status:
            return {name: value.strip() for name, _, value in (line.partition(":") for line in status)}
    except OSError:
        return {}


def is_held_by(pid, is_tracer):
    """Whether the local process `pid` is stopped by a tracer that `is_tracer(tracer's pid)` recognizes.

    A debugger's pid alone proves nothing: that of a core or of a remote process may by chance be a local one's.
    """
    status = process_status(pid)
    tracer = int(status.get("TracerPid", "0"))
    return status.get("State", "").startswith("t") and tracer != 0 and is_tracer(tracer)
