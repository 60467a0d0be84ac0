"""gdb kills itself at one moment of a recording: (gdb) source this, behind the adapter. KILL_AT says when:

    registers N     right after the registers of the lent thread were written for the N-th time
    running N M     M milliseconds after the process was let run for the N-th time
"""

import os
import signal
import sys
import time

import gdb

moment, count, *after = os.environ["KILL_AT"].split()


def kill_later(pid, milliseconds):
    """By a child, for gdb itself waits."""
    if os.fork() == 0:
        time.sleep(milliseconds / 1000)
        try:
            os.kill(pid, signal.SIGKILL)
        finally:
            os._exit(0)


class CountingGdb:
    left = int(count)

    def __getattr__(self, name):
        return getattr(gdb, name)

    def execute(self, command, *arguments, **options):
        if moment == "running" and self.is_now(command == "continue"):
            kill_later(os.getpid(), float(after[0]))
        result = gdb.execute(command, *arguments, **options)
        # The command with which a write of all registers begins: the library has written them by then.
        if moment == "registers" and self.is_now(command.startswith("maintenance flush")):
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    def is_now(self, is_one):
        self.left -= is_one
        return is_one and self.left == 0


sys.modules["memtrace_gdb_control"].gdb = CountingGdb()
