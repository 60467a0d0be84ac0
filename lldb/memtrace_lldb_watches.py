"""Watchpoints of the library's own. lldb has none that are hidden: they stand in `watchpoint list` while they are there."""

import lldb
import memtrace_door as door


class Watches:
    watch_callback = None  # the name by which lldb finds the function that it calls at a change

    def __init__(self):
        super().__init__()
        self._watches = {}  # address -> lldb's number

    def watch(self, address, size, on):
        number = self._watches.pop(address, None)
        if number is not None:
            self._target.DeleteWatchpoint(number)
        if on:
            self._add_watch(address, size)

    def _add_watch(self, address, size):
        error = lldb.SBError()
        watch = self._target.WatchAddress(address, size, False, True, error)
        if error.Fail() or not watch.IsValid():
            raise door.HostError(error.GetCString())
        self._watches[address] = watch.GetID()
        self._ask_lldb("watchpoint command add -F %s %d" % (self.watch_callback, watch.GetID()))

    def changed(self, frame, address):
        """Whether to stay stopped."""
        return self._reached(None, address, frame)
