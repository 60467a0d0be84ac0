"""Threads, their registers and native frames, as lldb tells them."""

import itertools

import memtrace_door as door

UNNAMED = "___lldb_unnamed_symbol"  # how lldb calls a function whose symbol was stripped
NAMES = {"eflags": "rflags"}  # where lldb's differs from the kernel's


def registers_of(frame):
    values = {}
    for name in door.REGISTERS:
        value = frame.FindRegister(NAMES.get(name, name))
        if value.IsValid() and not value.GetError().Fail():
            values[name] = value.GetValueAsUnsigned()
    return values


class Threads:
    def threads(self):
        process = self._process
        selected = process.GetSelectedThread().GetThreadID()
        for thread in process:
            tid = thread.GetThreadID()
            frame = thread.GetFrameAtIndex(0)
            yield tid, tid == selected, registers_of(frame) if frame.IsValid() else None

    def backtrace(self, tid):
        thread = self.thread_of(tid)
        # One by one: to count them, lldb would unwind them all.
        for number in itertools.count():
            frame = thread.GetFrameAtIndex(number)
            if not frame.IsValid():
                break
            module = frame.GetModule()
            path = module.GetFileSpec().fullpath if module.IsValid() else None
            name = frame.GetFunctionName()
            if name is not None and name.startswith(UNNAMED):
                name = None
            yield frame.GetPC(), frame.GetSP(), name, path

    def thread_of(self, tid):
        thread = self._process.GetThreadByID(tid)
        if not thread.IsValid():
            raise door.HostError("no thread %d" % tid)
        return thread
