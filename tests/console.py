"""An interactive debugger, as a person has it: on a terminal."""

import os
import pty
import re
import select
import signal
import time


class Console:
    """An interactive debugger on a terminal of its own."""

    def __init__(self, command, environment):
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], command, dict(environment, TERM="xterm"))
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
