"""Stopping a process after a while, for debuggers that wait for it meanwhile and run nothing else of ours."""

import os
import signal
import subprocess


class Alarm:
    """A helper process sends it SIGSTOP. Not when the debugger is gone by then: nobody would let the process go on."""

    def __init__(self, pid, seconds):
        line = "sleep %.3f; kill -0 %d && kill -STOP %d" % (seconds, os.getpid(), pid)
        null = subprocess.DEVNULL
        self._helper = subprocess.Popen(
            ["/bin/sh", "-c", line], stdin=null, stdout=null, stderr=null, start_new_session=True
        )

    def has_rung(self):
        return self._helper.poll() == 0

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        if self._helper.poll() is None:
            os.killpg(self._helper.pid, signal.SIGKILL)
            self._helper.wait()
