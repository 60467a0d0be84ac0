"""Servers that hold a process for a debugger elsewhere. The debugger did not start them, so for it the process is anywhere."""

import contextlib
import pathlib
import re
import socket
import subprocess

from surroundings import TIMEOUT, clean_environment, require_program, wait_until

LLDB_SERVER = "lldb-server-19"
COMMANDS = {
    "gdbserver": lambda port, pid: ["gdbserver", "--once", f"127.0.0.1:{port}", "--attach", str(pid)],
    "lldb-server": lambda port, pid: [LLDB_SERVER, "gdbserver", f"127.0.0.1:{port}", "--attach", str(pid)],
}
# What each debugger says to connect; gdb 13 does not understand lldb-server.
CONNECT = {"gdb": "target remote", "lldb": "gdb-remote"}
PAIRS = [("gdb", "gdbserver"), ("lldb", "gdbserver"), ("lldb", "lldb-server")]


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def is_listening(port):
    """Without a connection, which would be the only one."""
    sockets = "".join(pathlib.Path(f"/proc/self/net/{name}").read_text() for name in ("tcp", "tcp6"))
    return re.search(rf":{port:04X} [0-9A-F]+:0000 0A ", sockets) is not None


@contextlib.contextmanager
def server(name, pid):
    """Its address. The debugger must detach before the server is killed, or the process goes with it."""
    require_program({"lldb-server": LLDB_SERVER}.get(name, name))
    port = free_port()
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(COMMANDS[name](port, pid), env=clean_environment(), **quiet)
    try:
        wait_until(lambda: is_listening(port), name)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait(TIMEOUT)
