"""Threads, their registers and native frames, as lldb tells them."""

import memtrace_door as door

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
        for frame in self.thread_of(tid):
            module = frame.GetModule()
            path = module.GetFileSpec().fullpath if module.IsValid() else None
            yield frame.GetPC(), frame.GetSP(), frame.GetFunctionName(), path

    def thread_of(self, tid):
        thread = self._process.GetThreadByID(tid)
        if not thread.IsValid():
            raise door.HostError("no thread %d" % tid)
        return thread
