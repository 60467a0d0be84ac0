"""Watchpoints of the library's own, which the user does not see: hardware ones, as a software one would step through the whole
program."""

import gdb
import memtrace_door as door


class LibraryWatchpoint(gdb.Breakpoint):
    def __init__(self, address, reached):
        expression = "*(unsigned int *) %d" % address
        super().__init__(expression, gdb.BP_WATCHPOINT, gdb.WP_WRITE, internal=True)
        self.silent = True
        self._address = address
        self._reached = reached
        self.is_over = False

    def stop(self):
        return not self.is_over and self._reached(None, self._address)


class Watches:
    def __init__(self):
        super().__init__()
        self._watches = {}
        gdb.events.stop.connect(self._delete_watches)
        gdb.events.exited.connect(self._end_watches)

    def watch(self, address, size, on):
        if not on:
            if address in self._watches:
                self._watches[address].is_over = True
            if not self.is_judging:  # meanwhile gdb lets no breakpoint be deleted: it is at the stop, or does no more
                self._delete_watches(None)
        elif size != 4:
            raise door.HostError("only 4 bytes are watched")
        else:
            # Also at a stop that gdb is judging (tried with 13, 16, 18): it is there when the process goes on.
            # In C whatever the program's language is.
            command = "with language c -- python __import__('sys').modules['memtrace_gdb'].host.create_watch(%d)"
            try:
                gdb.execute(command % address, to_string=True)
            except gdb.error as problem:
                raise door.HostError(str(problem)) from None

    def create_watch(self, address):
        watch = LibraryWatchpoint(address, self._reached)
        if watch.type != gdb.BP_HARDWARE_WATCHPOINT:
            watch.delete()
            raise gdb.GdbError("no hardware watchpoint")
        self._watches[address] = watch

    def _delete_watches(self, event):
        for address in [address for address, watch in self._watches.items() if watch.is_over]:
            watch = self._watches.pop(address)
            if watch.is_valid():
                watch.delete()

    def _end_watches(self, event):
        """Of the next process it would watch something else."""
        for watch in self._watches.values():
            watch.is_over = True
        self._delete_watches(event)
