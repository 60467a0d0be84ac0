"""Breakpoints of the library's own, which the user does not see: where they are, and what is told when one stops."""

import gdb
import memtrace_door
import memtrace_gdb_threads as threads


class LibraryBreakpoint(gdb.Breakpoint):
    """Its number is negative, as of all of gdb's own; gdb says nothing when it stops, the library does."""

    def __init__(self, symbol, reached):
        super().__init__(symbol, internal=True)
        self.silent = True
        self._symbol = symbol
        self._reached = reached

    def stop(self):
        argument = int(gdb.newest_frame().read_register("rdi")) & 0xFFFFFFFFFFFFFFFF
        return self._reached(self._symbol, argument)


class Stops:
    """`door`: the library's session, given once it is there."""

    door = None

    def __init__(self):
        super().__init__()
        self.is_judging = False  # a stop: gdb calls the threads running until it has decided
        self._told = []
        self._breakpoints = {}
        self._held = 0  # number of the process that was stopped last
        gdb.events.stop.connect(self._tell)
        # gdb tells of a `detach` when the process is gone, and of its own end while it still has it.
        gdb.events.gdb_exiting.connect(self._let_go)
        if hasattr(gdb.events, "connection_removed"):
            gdb.events.connection_removed.connect(self._lost)

    def stop_at(self, symbol, on):
        breakpoint = self._breakpoints.get(symbol)
        is_there = breakpoint is not None and breakpoint.is_valid()
        if on and not is_there:
            # gdb would report that the function is not there yet, which is no news; only a captured command is quiet.
            gdb.execute("python __import__('sys').modules['memtrace_gdb'].host.create_stop(%r)" % symbol, to_string=True)
        elif not on and is_there:
            self._breakpoints.pop(symbol).delete()

    def create_stop(self, symbol):
        self._breakpoints[symbol] = LibraryBreakpoint(symbol, self._reached)

    def _reached(self, what, address):
        """Whether to stay stopped."""
        self.is_judging = True
        try:
            stays, text = self.door.reached(what, address, threads.kernel_number(gdb.selected_thread()))
        except BaseException as problem:
            stays, text = True, "memtrace: defect in the gdb adapter: %r\n" % problem
        finally:
            self.is_judging = False
        if stays:
            self._told.append(text)  # until gdb has said that it stopped
        else:
            gdb.write(text)
        return stays

    def _lost(self, event):
        if event.connection.type == "native":  # a remote process's number may be another one's here
            self._let_go(event)

    def _let_go(self, event):
        pid, self._held = self._held, 0
        if pid and self._breakpoints:
            try:
                self.door.reached(memtrace_door.DETACH, pid, 0)
            except BaseException as problem:
                gdb.write("memtrace: defect in the gdb adapter: %r\n" % problem, gdb.STDERR)

    def _tell(self, event):
        self._held = gdb.selected_inferior().pid
        told, self._told = self._told, []
        for text in told:
            gdb.write(text)
