"""Interactive debuggers on terminals of their own."""

import os
import pty
import re
import select
import signal
import time

from doors import GDB_ADAPTER, LLDB, LLDB_ADAPTER
from surroundings import TIMEOUT, clean_environment


class Console:
    """An interactive debugger on a terminal of its own."""

    def __init__(self, command, environment, terminal):
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], command, dict(environment, TERM=terminal))
        self.output = ""

    def expect(self, pattern, seconds=30):
        deadline = time.monotonic() + seconds
        while True:
            found = re.search(pattern, self.output)
            if found:
                before, self.output = self.output[: found.end()], self.output[found.end() :]
                return before
            ready, _, _ = select.select([self.terminal], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"waited {seconds} s for {pattern!r}, got {self.output!r}"
            self.output += os.read(self.terminal, 4096).decode("utf-8", "replace")

    def send(self, text):
        os.write(self.terminal, text.encode())

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.terminal)


def open_console(debugger, arguments=(), environment=None, terminal="xterm"):
    """gdb or lldb with the adapter, at its prompt."""
    environment = clean_environment() if environment is None else environment
    if debugger == "gdb":
        quiet = ["-iex", "set debuginfod enabled off", "-iex", "set style enabled off", "-iex", "set pagination off"]
        words = ["gdb", "-nx", "-q", *quiet, "-ex", f"source {GDB_ADAPTER}", *arguments]
    else:
        words = [LLDB, "-x", "-X", "-o", f"command script import {LLDB_ADAPTER}", *arguments]
    opened = Console([str(word) for word in words], environment, terminal)
    opened.prompt = rf"\({debugger}\) "
    opened.expect(opened.prompt, TIMEOUT)
    if debugger == "lldb":
        opened.expect("memtrace_lldb.py")
        opened.expect(opened.prompt)
    return opened
