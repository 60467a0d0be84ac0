"""Writing registers and letting the process run for a moment, in lldb."""

import contextlib
import signal

import lldb
import memtrace_alarm
import memtrace_door as door
import memtrace_lldb_threads as threads


def is_stopped_by(thread, number):
    return thread.GetStopReason() == lldb.eStopReasonSignal and thread.GetStopReasonDataAtIndex(0) == number


class Control:
    def set_registers(self, tid, registers):
        frame = self.thread_of(tid).GetFrameAtIndex(0)
        present = threads.registers_of(frame)
        for name in registers:
            if name not in present or present[name] == registers[name] or name == "rip":
                continue
            value = frame.FindRegister(threads.NAMES.get(name, name))
            error = lldb.SBError()
            if not value.SetValueFromCString("%#x" % registers[name], error):
                raise door.HostError(error.GetCString() or "can't write %s" % name)
        # Last, for with it lldb forgets what it knew of the frames.
        if not frame.SetPC(registers["rip"]):
            raise door.HostError("can't write rip")

    def resume(self):
        with self._synchronous():
            error = self._process.Continue()
        if error.Fail():
            raise door.HostError(error.GetCString())

    def run_to(self, tid, addresses, milliseconds):
        process = self._process
        selected = process.GetSelectedThread().GetThreadID()
        with self._synchronous(), self._others_off():
            goals = [self._goal(address, tid) for address in addresses]
            try:
                with memtrace_alarm.Alarm(self.door.library.calls, process.GetProcessID(), milliseconds) as alarm:
                    return self._run(process, goals, alarm)
            finally:
                for goal in goals:
                    self._target.BreakpointDelete(goal.GetID())
                process.SetSelectedThreadByID(selected)

    def _goal(self, address, tid):
        goal = self._target.BreakpointCreateByAddress(address)
        goal.SetThreadID(tid)
        return goal

    def _run(self, process, goals, alarm):
        numbers = [goal.GetID() for goal in goals]
        while True:
            error = process.Continue()
            if error.Fail():
                raise door.HostError(error.GetCString())
            if process.GetState() not in (lldb.eStateStopped, lldb.eStateCrashed, lldb.eStateSuspended):
                raise door.HostError("the process ended")
            for thread in process:
                if thread.GetStopReason() == lldb.eStopReasonBreakpoint:
                    number = thread.GetStopReasonDataAtIndex(0)
                    if number in numbers:
                        return thread.GetThreadID(), numbers.index(number)
                if is_stopped_by(thread, signal.SIGSTOP) and alarm.has_rung():
                    return 0, None  # lldb does not hand it to the program
            # A signal of the program's: it gets it.

    @contextlib.contextmanager
    def _synchronous(self):
        was_asynchronous = self._debugger.GetAsync()
        self._debugger.SetAsync(False)
        try:
            yield
        finally:
            self._debugger.SetAsync(was_asynchronous)

    @contextlib.contextmanager
    def _others_off(self):
        """The user's breakpoints do not stop what is not the program's own doing."""
        enabled = [breakpoint for breakpoint in self._target.breakpoint_iter() if breakpoint.IsEnabled()]
        for breakpoint in enabled:
            breakpoint.SetEnabled(False)
        try:
            yield
        finally:
            for breakpoint in enabled:
                breakpoint.SetEnabled(True)
