"""Breakpoints of the library's own: where they are, and what is told when one stops.

lldb has no breakpoints that are quite hidden: ours take a number each, but a name of theirs keeps them out of
`breakpoint list`, and `breakpoint delete` leaves them where it is not given their very number.
"""

import lldb
import memtrace_door as door

NAME = "memtrace_at_"  # and the symbol; lldb takes no dash in a name


class Stops:
    """`door`: the library's session, given once it is there."""

    door = None
    judged_frame = None  # while a stop is judged: lldb selects its thread only when it stays
    callback = None  # the name by which lldb finds the function that it calls at a stop

    def stop_at(self, symbol, on):
        target = self._target
        if not target.IsValid():
            raise door.HostError("no target")
        ours = [one for one in target.breakpoint_iter() if one.MatchesName(NAME + symbol)]
        if on and not ours:
            self._create(target, symbol)
        elif not on:
            for one in ours:
                target.BreakpointDelete(one.GetID())

    def _create(self, target, symbol):
        name = NAME + symbol
        settings = lldb.SBBreakpointName(target, name)
        settings.SetAllowList(False)
        settings.SetAllowDelete(False)
        settings.SetAllowDisable(False)
        created = target.BreakpointCreateByName(symbol)
        created.SetScriptCallbackFunction(self.callback)
        created.AddName(name)

    def reached(self, frame, breakpoint):
        """Whether to stay stopped."""
        names = lldb.SBStringList()
        breakpoint.GetNames(names)
        symbol = next(name[len(NAME) :] for name in names if name.startswith(NAME))
        return self._reached(symbol, frame.FindRegister("rdi").GetValueAsUnsigned(), frame)

    def _reached(self, what, address, frame):
        self.judged_frame = frame
        try:
            stays, text = self.door.reached(what, address, frame.GetThread().GetThreadID())
        except BaseException as problem:
            stays, text = True, "memtrace: defect in the lldb adapter: %r\n" % problem
        finally:
            self.judged_frame = None
        if text:
            self._debugger.GetOutputFile().Write(text.encode())
            self._debugger.GetOutputFile().Flush()
        return stays
