"""Stopping a process after a while, for debuggers that wait for it meanwhile and run nothing else of ours."""

import memtrace_door as door


class Alarm:
    """`calls`: the library's. A thread of the library rings, so that it takes no other program, and ends with the
    debugger, without whom nobody would let the process go on."""

    def __init__(self, calls, pid, milliseconds):
        self._calls = calls
        self._alarm = calls.mt_alarm_create(pid, milliseconds)
        if not self._alarm:
            raise door.HostError("no thread can be started")

    def has_rung(self):
        return self._calls.mt_alarm_has_rung(self._alarm) != 0

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        self._calls.mt_alarm_destroy(self._alarm)
