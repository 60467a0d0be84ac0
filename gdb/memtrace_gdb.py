"""The gdb adapter: what gdb can do for the library, and the library's commands in gdb. gdb/memtrace.py loads it.

Nothing about memory is known here; native/door/memtrace_door.py explains the parts.
"""

import importlib.util
import os
import re
import sys

import gdb

if __name__ == "__main__":
    raise gdb.GdbError("source memtrace.py, which is beside this file")

_path = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "native", "door", "memtrace_door.py")
_spec = importlib.util.spec_from_file_location("memtrace_door", _path)
door = sys.modules["memtrace_door"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(door)
# In this order: later ones import the first two.
threads = door.load_beside(__file__, "memtrace_gdb_threads")
door.load_beside(door.__file__, "memtrace_alarm")
control = door.load_beside(__file__, "memtrace_gdb_control")
settings = door.load_beside(__file__, "memtrace_gdb_settings")
stops = door.load_beside(__file__, "memtrace_gdb_stops")
stub = door.load_beside(__file__, "memtrace_gdb_stub")
watches = door.load_beside(__file__, "memtrace_gdb_watches")

PREFIX = "memtrace"
OLDEST = 13


def ask_gdb(command):
    """The output of a gdb command."""
    try:
        return gdb.execute(command, to_string=True)
    except gdb.error as problem:
        raise door.HostError(str(problem)) from None


class GdbHost(
    control.Control,
    settings.Settings,
    stops.Stops,
    stub.Stub,
    threads.Threads,
    watches.Watches,
    door.Host,
):
    def __init__(self):
        super().__init__()
        self._generation = 0
        self._seen = None
        self._writing = False
        self.from_terminal = False
        for name in ("cont", "exited", "new_objfile", "memory_changed", "inferior_call"):
            registry = getattr(gdb.events, name, None)
            if registry is not None:
                registry.connect(self._ran)

    def _ran(self, event):
        if not self._writing:  # a request word of ours: the rows that were listed are what they were
            self._generation += 1

    def describe(self):
        inferior = gdb.selected_inferior()
        connection = getattr(inferior, "connection", None)
        executable = gdb.current_progspace().filename
        if executable is not None and executable.startswith("target:"):  # gdb's word for a file on the remote side
            executable = executable[len("target:") :]
        seen = (inferior.num, inferior.pid, connection and connection.num)
        if seen != self._seen:
            self._seen = seen
            self._generation += 1
        if connection is None or inferior.pid == 0:
            return door.Description(generation=self._generation, executable=executable)
        description = door.Description(pid=inferior.pid, generation=self._generation, executable=executable)
        if connection.type == "core":
            description.kind = door.CORE
            description.core = self._core_path(inferior)
            return description
        description.running = not self.is_judging and any(thread.is_running() for thread in inferior.threads())
        if connection.type == "native":
            description.kind = door.LIVE
            description.local = door.is_held_by(inferior.pid, lambda tracer: tracer == os.getpid())
        else:
            description.kind = door.REMOTE
        return description

    @staticmethod
    def _core_path(inferior):
        corefile = getattr(inferior, "corefile", None)  # from gdb 18 on
        if corefile is not None:
            return corefile.filename
        # The path stands between a backquote and the last quote before the file type; nothing in it is escaped.
        found = re.search(r"core dump file:\s*[`'](.*)', file type", ask_gdb("info files"))
        return os.path.abspath(found.group(1)) if found else None

    def read(self, address, size):
        try:
            return bytes(gdb.selected_inferior().read_memory(address, size))
        except gdb.error as problem:
            raise door.HostError(str(problem)) from None

    def write(self, address, data):
        self._writing = True
        try:
            gdb.selected_inferior().write_memory(address, data)
        except gdb.error as problem:
            raise door.HostError(str(problem)) from None
        finally:
            self._writing = False
        return len(data)

    def find_symbol(self, name):
        # While gdb decides about a stop, a command that fails makes it forget that it was told to go on.
        if self.is_judging:
            return self.evaluate("&" + name)
        # In C whatever the program's language is: the frame may be of a language that has no `&`. gdb may add a warning about
        # that, without a blank between.
        found = re.match(r"0x[0-9a-f]+", ask_gdb("with language c -- output/x (unsigned long)&%s" % name))
        return int(found.group(), 16)

    def regions(self):
        inferior = gdb.selected_inferior()
        if inferior.connection is not None and inferior.connection.type == "core":
            return self._core_regions()
        return self._process_regions()

    @staticmethod
    def _process_regions():
        line = r"^\s*(0x[0-9a-f]+)\s+(0x[0-9a-f]+)\s+0x[0-9a-f]+\s+(0x[0-9a-f]+)\s+([r-][w-][x-])\S*[ \t]*(.*)$"
        for start, end, offset, access, path in re.findall(line, ask_gdb("info proc mappings"), re.M):
            flags = sum(flag for letter, flag in zip(access, (door.READ, door.WRITE, door.EXECUTE)) if letter != "-")
            yield int(start, 16), int(end, 16), flags, int(offset, 16), path.strip() or None

    @staticmethod
    def _core_regions():
        # `info proc mappings` of a core lists only mapped files; the sections are what the file really holds.
        line = r"(0x[0-9a-f]+)->(0x[0-9a-f]+) at 0x[0-9a-f]+: load\w*(.*)$"
        for start, end, words in re.findall(line, ask_gdb("maint info sections"), re.M):
            flags = door.READ | (0 if "READONLY" in words else door.WRITE) | (door.EXECUTE if "CODE" in words else 0)
            yield int(start, 16), int(end, 16), flags, 0, None

    def evaluate(self, expression):
        try:
            value = gdb.parse_and_eval(expression)
            kind = value.type.strip_typedefs().code
            if kind in (gdb.TYPE_CODE_REF, gdb.TYPE_CODE_RVALUE_REF):
                value = value.referenced_value()
                kind = value.type.strip_typedefs().code
            if kind in (gdb.TYPE_CODE_ARRAY, gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION, gdb.TYPE_CODE_FUNC):
                value = value.address
            return int(value)
        except (gdb.error, TypeError) as problem:
            raise door.HostError(str(problem)) from None

    def set_environment(self, name, value):
        ask_gdb("unset environment %s" % name if value is None else "set environment %s=%s" % (name, value))

    def get_environment(self, name):
        text = ask_gdb("show environment %s" % name)
        assigned = name + " = "
        return text[len(assigned) :].rstrip("\n") if text.startswith(assigned) else None

    def width(self):
        return gdb.parameter("width") or 0

    def is_interactive(self):
        # Both parameters are None in batch mode, in a pipe and in a captured command.
        sized = gdb.parameter("width") is not None or gdb.parameter("height") is not None
        return sized and os.isatty(0) and os.isatty(2)

    def progress(self, line):
        if self.from_terminal and self.is_interactive():
            gdb.write("\r\033[K" + (line or ""), gdb.STDERR)
            gdb.flush(gdb.STDERR)

    def set_variable(self, name, value):
        pointer = gdb.lookup_type("void").pointer()
        if pointer.sizeof < 8:  # gdb's default architecture, before there is a program
            raise door.HostError("no pointers of 64 bits")
        gdb.set_convenience_variable(name.lstrip("$"), gdb.Value(value).cast(pointer))


def check_version():
    """Before 13 (12 has no cores' connection, 11 none at all) what is here was never tried."""
    major = re.search(r"\d+(?=\.)", gdb.VERSION)
    if major and int(major.group()) < OLDEST:
        raise door.DoorError("%s: gdb %s is too old: use gdb %d or later" % (PREFIX, gdb.VERSION, OLDEST))


def error_text(text):
    """gdb encodes an error in the host's character set, and fails on what that can't say."""
    charset = gdb.host_charset() if hasattr(gdb, "host_charset") else "ascii"
    return text.encode(charset, "backslashreplace").decode(charset)


class Command(gdb.Command):
    """Hands its line to the library; gdb strips the prefix, `words` puts back what the library knows it by."""

    def __init__(self, words, is_prefix):
        super().__init__(" ".join([PREFIX] + words), gdb.COMMAND_DATA, prefix=is_prefix)
        self._words = words

    def _line(self, argument):
        return " ".join(self._words + ([argument] if argument else []))

    def invoke(self, argument, from_terminal):
        self.dont_repeat()
        host.from_terminal = from_terminal
        try:
            answered, text = session.run(self._line(argument))
        except KeyboardInterrupt:
            raise gdb.GdbError("%s: interrupted" % " ".join([PREFIX] + self._words)) from None
        except Exception as problem:
            raise gdb.GdbError(error_text("%s: defect in the gdb adapter: %r" % (PREFIX, problem))) from None
        if answered:
            gdb.write(text)
        elif text.startswith("{"):
            # The one object that a script reads from the output, as on the command line.
            gdb.write(text.rstrip("\n") + "\n")
            raise gdb.GdbError("%s: failed" % PREFIX)
        else:
            raise gdb.GdbError(error_text(text))

    def complete(self, text, word):
        if word is None:  # gdb asks first where words begin: as everywhere
            return []
        # gdb breaks words at characters that are inside ours (`-`): it wants what follows the part it leaves alone.
        try:
            candidates = session.complete(self._line(text))
        except BaseException:
            return []
        token = text.rpartition(" ")[2]
        return [candidate[len(token) - len(word) :] for candidate in candidates if candidate.startswith(token)]


class BrokenCommand(gdb.Command):
    """Tell what the memory of a CPython process is made of: it can't be done here."""

    def __init__(self, reason):
        super().__init__(PREFIX, gdb.COMMAND_DATA)
        self._reason = reason

    def invoke(self, argument, from_terminal):
        raise gdb.GdbError(self._reason)


def register(commands):
    summary = "Tell what the memory of a CPython process is made of.\n\nWithout a command it lists what there is."
    prefixes = {""} | {name.rpartition(" ")[0] for name, _, _ in commands}
    for name, help_text in [("", summary)] + [(name, help_text) for name, _, help_text in commands]:
        kind = type("Command", (Command,), {"__doc__": help_text})
        kind(name.split(), name in prefixes)


try:
    check_version()
    library = door.Library(door.library_path(__file__))
    host = GdbHost()
    session = host.door = door.Door(library, host)
    register(library.commands())
    host.offer_settings(session)
except door.DoorError as problem:
    # gdb takes a script that fails for a success (and prints a traceback): so it is the commands that fail.
    gdb.write(error_text(str(problem)) + "\n", gdb.STDERR)
    BrokenCommand(error_text(str(problem)))
