"""Threads, their registers and native frames, as gdb tells them."""

import contextlib

import gdb
import memtrace_door as door


def kernel_number(thread):
    """Of a thread: `ptid` is (process, lwp, id)."""
    process, lwp, _ = thread.ptid
    return lwp or process


@contextlib.contextmanager
def selection_kept():
    """Looking at a thread selects it; afterwards the user's thread and frame are selected again."""
    thread = gdb.selected_thread()
    try:
        frame = gdb.selected_frame()
    except gdb.error:
        frame = None
    try:
        yield thread
    finally:
        if thread is not None and thread.is_valid():
            thread.switch()
            if frame is not None and frame.is_valid():
                frame.select()


def registers_of(frame):
    values = {}
    for name in door.REGISTERS:
        try:
            values[name] = int(frame.read_register(name))
        except (gdb.error, ValueError):  # this gdb, core or stub does not know it
            continue
    return values


class Threads:
    def threads(self):
        told = []
        with selection_kept() as selected:
            for thread in gdb.selected_inferior().threads():
                try:
                    thread.switch()
                    registers = registers_of(gdb.newest_frame())
                except gdb.error:  # it is ending
                    registers = None
                told.append((kernel_number(thread), thread is selected or thread == selected, registers))
        return told

    def backtrace(self, tid):
        with selection_kept():
            self.switch_to(tid)
            frame = gdb.newest_frame()
            while frame is not None:
                module = gdb.solib_name(frame.pc()) or gdb.current_progspace().filename
                yield frame.pc(), int(frame.read_register("rsp")), frame.name(), module
                try:
                    frame = frame.older()
                except gdb.error:  # what follows can't be unwound
                    break

    @staticmethod
    def switch_to(tid):
        for thread in gdb.selected_inferior().threads():
            if kernel_number(thread) == tid:
                thread.switch()
                return
        raise door.HostError("no thread %d" % tid)
