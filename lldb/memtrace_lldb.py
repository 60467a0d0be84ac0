"""memtrace in lldb:  (lldb) command script import PATH/lldb/memtrace_lldb.py

The lldb adapter: what lldb can do for the library, and the library's commands in lldb. Nothing about memory is known
here; native/door/memtrace_door.py explains the parts.
"""

import glob
import importlib.util
import os
import re
import sys


def remedy():
    """What to say where lldb does not find its own Python module: 14 and 15 of Debian look for it in a wrong place."""
    prefix = os.path.dirname(os.path.dirname(os.path.realpath("/proc/self/exe")))
    found = glob.glob(os.path.join(prefix, "lib", "python3*", "*-packages", "lldb", "__init__.py"))
    way = "start it with PYTHONPATH=%s, or " % os.path.dirname(os.path.dirname(found[0])) if found else ""
    return "memtrace: this lldb does not find its own Python module: %suse lldb 16 or later" % way


try:
    import lldb

    lldb.SBDebugger  # of a folder that is only called so there is none
except (ImportError, AttributeError):
    raise ImportError(remedy()) from None

# By its path: the repository must never be on sys.path, where its folder `lldb` would hide lldb's module.
_path = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "native", "door", "memtrace_door.py")
_spec = importlib.util.spec_from_file_location("memtrace_door", _path)
door = sys.modules["memtrace_door"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(door)
# In this order: later ones import the first two.
threads = door.load_beside(__file__, "memtrace_lldb_threads")
door.load_beside(door.__file__, "memtrace_alarm")
control = door.load_beside(__file__, "memtrace_lldb_control")
core = door.load_beside(__file__, "memtrace_lldb_core")
stops = door.load_beside(__file__, "memtrace_lldb_stops")
stub = door.load_beside(__file__, "memtrace_lldb_stub")
variables = door.load_beside(__file__, "memtrace_lldb_variables")
watches = door.load_beside(__file__, "memtrace_lldb_watches")

PREFIX = "memtrace"
SUMMARY = "Tell what the memory of a CPython process is made of."

GONE = (lldb.eStateInvalid, lldb.eStateUnloaded, lldb.eStateDetached, lldb.eStateExited, lldb.eStateConnected)
IN_MEMORY = (lldb.eTypeClassArray, lldb.eTypeClassStruct, lldb.eTypeClassClass, lldb.eTypeClassUnion)
STOPPED = (lldb.eStateStopped, lldb.eStateCrashed, lldb.eStateSuspended)


def is_our_server(pid):
    """Whether `pid` is the lldb-server that this lldb forked; the server of a connection by port fails the test."""
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as line:
            arguments = line.read().split(b"\0")
    except OSError:
        return False
    return door.process_status(pid).get("PPid") == str(os.getpid()) and any(a.startswith(b"--fd") for a in arguments)


class LldbHost(
    control.Control,
    stops.Stops,
    stub.Stub,
    threads.Threads,
    variables.Variables,
    watches.Watches,
    door.Host,
):
    callback = __name__ + ".stopped"
    watch_callback = __name__ + ".changed"

    def __init__(self, debugger):
        super().__init__()
        self._debugger = debugger
        self._context = None

    def enter(self, context):
        """`context`: what lldb hands a command; what is selected in the debugger may be another target."""
        self._context = context

    @property
    def _target(self):
        target = self._context.target if self._context is not None else None
        return target if target is not None and target.IsValid() else self._debugger.GetSelectedTarget()

    @property
    def _process(self):
        process = self._target.GetProcess()
        if not process.IsValid() or process.GetState() in GONE:
            raise door.HostError("no process")
        return process

    def describe(self):
        executable = self._target.GetExecutable()
        description = door.Description(executable=executable.fullpath if executable.IsValid() else None)
        try:
            process = self._process
        except door.HostError:
            return description
        description.pid = process.GetProcessID()
        # A stop after an expression of the user counts too, as it may have run code.
        description.generation = (process.GetUniqueID() << 32) + process.GetStopID(True)
        plugin = process.GetPluginName() or ""
        if plugin.endswith("-core") or plugin == "minidump":
            description.kind = door.CORE
            description.core = core.core_path(process)
            return description
        description.running = process.GetState() not in STOPPED
        description.local = door.is_held_by(description.pid, is_our_server)
        description.kind = door.LIVE if description.local else door.REMOTE
        return description

    def read(self, address, size):
        # Status and error of a short read are not to be trusted, the returned bytes are.
        process = self._process
        data = process.ReadMemory(address, size, lldb.SBError()) or b""
        if len(data) < size:
            # Clean pages of files are in no core; the target finds them in the files.
            data = self._target.ReadMemory(lldb.SBAddress(address, self._target), size, lldb.SBError()) or data
        return data

    def write(self, address, data):
        error = lldb.SBError()
        written = self._process.WriteMemory(address, data, error)
        if error.Fail():
            raise door.HostError(error.GetCString())
        return written

    def find_symbol(self, name):
        for found in self._target.FindSymbols(name):
            address = found.GetSymbol().GetStartAddress().GetLoadAddress(self._target)
            if address != lldb.LLDB_INVALID_ADDRESS:
                return address
        raise door.HostError("no symbol %s" % name)

    def regions(self):
        if self.describe().kind == door.REMOTE:
            try:
                yield from self.regions_of_stub()
                return
            except door.HostError:  # it is no Linux, or gives no files away
                pass
        regions = self._process.GetMemoryRegions()
        region = lldb.SBMemoryRegionInfo()
        for index in range(regions.GetSize()):
            if regions.GetMemoryRegionAtIndex(index, region) and region.IsMapped():
                flags = (
                    (door.READ if region.IsReadable() else 0)
                    | (door.WRITE if region.IsWritable() else 0)
                    | (door.EXECUTE if region.IsExecutable() else 0)
                )
                yield region.GetRegionBase(), region.GetRegionEnd(), flags, 0, region.GetName() or None

    def evaluate(self, expression):
        # Registers and variables by look-up: lldb maps memory into the process for anything that it must compile.
        frame = self.judged_frame or self._process.GetSelectedThread().GetSelectedFrame()
        if expression.startswith("$"):
            value = frame.FindRegister(expression[1:])
        else:
            value = frame.GetValueForVariablePath(expression)
        if not value.IsValid() or value.GetError().Fail():
            value = (frame if frame.IsValid() else self._target).EvaluateExpression(expression)
        if value.GetError().Fail():
            raise door.HostError(" ".join((value.GetError().GetCString() or "not an expression").split()))
        kind = value.GetType().GetCanonicalType()
        if kind.IsReferenceType():
            value = value.Dereference()
            kind = value.GetType().GetCanonicalType()
        if kind.GetTypeClass() in IN_MEMORY:
            return value.GetLoadAddress()
        return value.GetValueAsUnsigned()

    def _ask_lldb(self, command):
        result = lldb.SBCommandReturnObject()
        self._debugger.GetCommandInterpreter().HandleCommand(command, result)
        if not result.Succeeded():
            raise door.HostError((result.GetError() or "").strip())

    def set_environment(self, name, value):
        # The setting, not the target's launch info: it holds before there is a target too, and `run` looks at it.
        if value is None:
            if re.search(r"^\s*%s=" % re.escape(name), self._setting("target.env-vars"), re.M):
                self._ask_lldb("settings remove target.env-vars %s" % name)
            if self.get_environment(name) is not None:  # it comes from lldb's own environment
                self._ask_lldb("settings append target.unset-env-vars %s" % name)
        else:
            quoted = value.replace("\\", "\\\\").replace('"', '\\"')
            self._ask_lldb('settings append target.env-vars %s="%s"' % (name, quoted))

    def get_environment(self, name):
        target = self._target
        if target.IsValid():
            return target.GetEnvironment().Get(name)
        # Before there is a target, only the settings know.
        assigned = re.search(r"^\s*%s=(.*)$" % re.escape(name), self._setting("target.env-vars"), re.M)
        if assigned:
            return assigned.group(1)
        removed = re.search(r"^\s*\[\d+\]: %s$" % re.escape(name), self._setting("target.unset-env-vars"), re.M)
        return None if removed else os.environ.get(name)

    def _setting(self, name):
        lines = self._debugger.GetInternalVariableValue(name, self._debugger.GetInstanceName())
        return "\n".join(lines.GetStringAtIndex(i) for i in range(lines.GetSize()))

    def width(self):
        return self._debugger.GetTerminalWidth()

    def is_interactive(self):
        return sys.stdout.isatty() and os.isatty(0) and os.isatty(2)

    def progress(self, line):
        if sys.stdout.isatty():  # not while the output of a command is captured
            sys.stderr.write("\r\033[K" + (line or ""))
            sys.stderr.flush()

    def interrupted(self):
        if hasattr(self._debugger, "InterruptRequested"):  # from lldb 17 on
            return self._debugger.InterruptRequested()
        return self._debugger.GetCommandInterpreter().WasInterrupted()


class Session:
    """One a debugger: an IDE has several in one process."""

    _of_debugger = {}

    def __init__(self, debugger):
        self.host = LldbHost(debugger)
        self.door = self.host.door = door.Door(library, self.host)

    @classmethod
    def of(cls, debugger):
        key = debugger.GetID()
        if key not in cls._of_debugger:
            cls._of_debugger[key] = cls(debugger)
        return cls._of_debugger[key]


class Place:
    """What a command gets as its context, as far as the host looks at it."""

    def __init__(self, target):
        self.target = target


def stopped(frame, location, internal_dict):
    """lldb calls it where one of our breakpoints is reached; False: go on."""
    target = frame.GetThread().GetProcess().GetTarget()
    host = Session.of(target.GetDebugger()).host
    host.enter(Place(target))
    stays = host.reached(frame, location.GetBreakpoint())
    # A watchpoint that was set meanwhile has put a function into the dictionary, and lldb's caller of this one fails (and
    # the process stays stopped) unless it finds all of that among its own globals.
    sys._getframe(1).f_globals.update(internal_dict)
    return stays


def changed(frame, watch, internal_dict):
    """lldb calls it where one of our watchpoints has seen a change; False: go on."""
    target = frame.GetThread().GetProcess().GetTarget()
    host = Session.of(target.GetDebugger()).host
    host.enter(Place(target))
    return host.changed(frame, watch.GetWatchAddress())


class Command:
    """Hands its line to the library. lldb takes an exception for a success, so none may escape."""

    words = []
    summary = SUMMARY
    help = SUMMARY

    def __init__(self, debugger, internal_dict):
        self._debugger = debugger

    def get_short_help(self):
        return self.summary

    def get_long_help(self):
        return self.help

    def get_repeat_command(self, argument):
        """Of an empty line after this one: do nothing."""
        return ""

    def __call__(self, debugger, argument, context, result):
        try:
            session = Session.of(debugger)
            session.host.enter(context)
            answered, text = session.door.run(" ".join(self.words + ([argument] if argument else [])))
        except BaseException as problem:
            answered, text = False, "%s: defect in the lldb adapter: %r" % (PREFIX, problem)
        if answered:
            if text:
                result.AppendMessage(text.rstrip("\n"))
        elif text.startswith("{"):
            # The one object that a script reads from the output, as on the command line.
            result.AppendMessage(text.rstrip("\n"))
            result.SetStatus(lldb.eReturnStatusFailed)
        else:
            result.SetError(text)


def has_working_containers(debugger):
    """Plain `help` of lldb 14 crashes once there is a container of the user's."""
    words = debugger.GetVersionString().split()
    version = words[words.index("version") + 1] if "version" in words else "0"
    return not version.split(".")[0].isdigit() or int(version.split(".")[0]) > 14


def register(debugger):
    interpreter = debugger.GetCommandInterpreter()

    def tell_lldb(command):
        result = lldb.SBCommandReturnObject()
        interpreter.HandleCommand(command, result)
        if not result.Succeeded():
            raise door.DoorError("%s: %s" % (PREFIX, (result.GetError() or "").strip()))

    if not has_working_containers(debugger):
        tell_lldb("command script add -o -c %s.Command %s" % (__name__, PREFIX))
        return
    tell_lldb('command container add -o -h "%s" %s' % (SUMMARY, PREFIX))
    for name, summary, help_text in library.commands():
        if " " in name:  # a command can't be a container too: the line of its first word carries it
            continue
        kind = "Command_" + name.replace("-", "_")
        globals()[kind] = type(kind, (Command,), {"words": [name], "summary": summary, "help": help_text})
        tell_lldb("command script add -o -c %s.%s %s %s" % (__name__, kind, PREFIX, name))


# At import: what fails here fails the `command script import`, what fails in __lldb_init_module counts as a success.
library = door.Library(door.library_path(__file__))


def __lldb_init_module(debugger, internal_dict):
    register(debugger)
