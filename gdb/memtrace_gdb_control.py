"""Writing registers and letting the process run for a moment, in gdb.

gdb's own calls of functions fail on some processors (gdb 13 with AMX), so the library makes its calls by these.
"""

import contextlib

import gdb
import memtrace_alarm
import memtrace_door as door
import memtrace_gdb_threads as threads


class Goal(gdb.Breakpoint):
    """Stops one thread at an address, silently. In the code, where gdb has it only while the process runs: a hardware
    breakpoint stays armed until the next time it does, and a process whose gdb is killed would die of it."""

    def __init__(self, address, thread):
        super().__init__("*%#x" % address, internal=True)
        self.silent = True
        self.thread = thread.global_num


@contextlib.contextmanager
def others_off():
    """The user's breakpoints do not stop what is not the program's own doing."""
    enabled = [breakpoint for breakpoint in gdb.breakpoints() or () if breakpoint.enabled]
    for breakpoint in enabled:
        breakpoint.enabled = False
    try:
        yield
    finally:
        for breakpoint in enabled:
            if breakpoint.is_valid():
                breakpoint.enabled = True


class Control:
    def set_registers(self, tid, registers):
        with threads.selection_kept():
            self.switch_to(tid)
            # The library may have written them already, all at once: what differs is left to do, which is mostly nothing.
            gdb.execute("maintenance flush register-cache", to_string=True)
            present = threads.registers_of(gdb.newest_frame())
            for name, value in registers.items():
                if name in present and present[name] & 0xFFFFFFFFFFFFFFFF != value:
                    gdb.newest_frame().select()  # each time: with another stack pointer it is another frame
                    try:
                        gdb.execute("set var $%s = %#x" % (name, value), to_string=True)
                    except gdb.error as problem:
                        raise door.HostError(str(problem)) from None

    def resume(self):
        gdb.execute("continue")

    def run_to(self, tid, addresses, milliseconds):
        with threads.selection_kept(), others_off():
            if tid:
                self.switch_to(tid)
            goals = [Goal(address, gdb.selected_thread()) for address in addresses]
            try:
                return self._run(goals, milliseconds)
            finally:
                for goal in goals:
                    goal.delete()

    def _run(self, goals, milliseconds):
        pid = gdb.selected_inferior().pid
        stops = []
        gdb.events.stop.connect(stops.append)
        try:
            with memtrace_alarm.Alarm(self.door.library.calls, pid, milliseconds) as alarm:
                while True:
                    del stops[:]
                    gdb.execute("continue", to_string=True)
                    if gdb.selected_inferior().pid != pid:
                        raise door.HostError("the process ended")
                    reached = gdb.selected_thread()
                    stop = stops[-1] if stops else None
                    if isinstance(stop, gdb.BreakpointEvent) and stop.breakpoints[0] in goals:
                        return threads.kernel_number(reached), goals.index(stop.breakpoints[0])
                    if isinstance(stop, gdb.SignalEvent) and stop.stop_signal == "SIGSTOP" and alarm.has_rung():
                        gdb.execute("queue-signal 0", to_string=True)  # it was ours
                        return 0, None
                    # A signal of the program's: it gets it.
        finally:
            gdb.events.stop.disconnect(stops.append)
