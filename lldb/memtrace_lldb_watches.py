"""Watchpoints of the library's own. lldb has none that are hidden: they stand in `watchpoint list` while they are there."""

import lldb
import memtrace_door as door


class Watches:
    watch_callback = None  # the name by which lldb finds the function that it calls at a change

    def __init__(self):
        super().__init__()
        self._watches = {}  # address -> lldb's number
        self._has_warned = False

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
        self._warn()

    def _warn(self):
        """lldb leaves the debug registers set in a process that it detaches from, which then dies of SIGTRAP (19)."""
        if self._has_warned:
            return
        self._has_warned = True
        errors = self._debugger.GetErrorFile()
        errors.Write(b"memtrace: `memtrace break delete` before `detach`: lldb would leave the watchpoint in the process\n")
        errors.Flush()
        for name in ("AddDestroyCallback", "SetDestroyCallback"):  # of `quit` it tells
            if hasattr(self._debugger, name):
                getattr(self._debugger, name)(lambda identifier: self._end_watches())
                break

    def _end_watches(self):
        for number in self._watches.values():
            self._target.DeleteWatchpoint(number)
        self._watches.clear()

    def changed(self, frame, address):
        """Whether to stay stopped."""
        return self._reached(None, address, frame)
