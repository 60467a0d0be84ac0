"""A client of the Debug Adapter Protocol, as editors have one."""

import json
import select
import subprocess
import time

from surroundings import TIMEOUT, clean_environment


class Adapter:
    """A debug adapter on pipes. Messages are JSON with a header that tells their length."""

    def __init__(self, command):
        self.process = subprocess.Popen(
            [str(word) for word in command],
            env=clean_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )
        self.sequence = 0
        self.unread = b""
        self.events = []

    def send(self, command, **arguments):
        self.sequence += 1
        message = {"seq": self.sequence, "type": "request", "command": command, "arguments": arguments}
        body = json.dumps(message).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        return self.sequence

    def receive(self, wanted, what):
        """The next message that is wanted; events on the way are kept."""
        deadline = time.monotonic() + TIMEOUT
        while True:
            head, separator, rest = self.unread.partition(b"\r\n\r\n")
            length = int(head.rpartition(b":")[2]) if separator else 0
            if separator and len(rest) >= length:
                message, self.unread = json.loads(rest[:length]), rest[length:]
                if message["type"] == "event":
                    self.events.append(message)
                if wanted(message):
                    return message
                continue
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))
            more = self.process.stdout.read(65536) if ready else b""
            assert more, f"waited for {what}, got {self.events[-3:]} {self.unread!r}"
            self.unread += more

    def ask(self, command, **arguments):
        """The response to a request."""
        number = self.send(command, **arguments)
        return self.receive(lambda m: m["type"] == "response" and m["request_seq"] == number, command)

    def console(self, line):
        """(success, text) of a line in the editor's debug console."""
        response = self.ask("evaluate", expression=line, context="repl")
        return response["success"], response.get("body", {}).get("result", "") or response.get("message", "")

    def close(self):
        self.process.kill()
        self.process.wait(TIMEOUT)
        self.process.stdin.close()
        self.process.stdout.close()
