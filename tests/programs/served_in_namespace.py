"""served_in_namespace.py PID SERVER... : in a new name space of processes (unshare --pid --fork --mount-proc), starts
held_here_and_there.py with 7 Markers as process PID, and then a server that holds it. Says `ready` in between."""

import os
import pathlib
import subprocess
import sys

wanted, command = int(sys.argv[1]), sys.argv[2:]
pathlib.Path("/proc/sys/kernel/ns_last_pid").write_text(str(wanted - 1))
program = pathlib.Path(__file__).parent / "held_here_and_there.py"
held = subprocess.Popen([sys.executable, program, "7"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
assert held.pid == wanted, held.pid
assert held.stdout.readline() == "ready\n"
print("ready", flush=True)
os.set_inheritable(held.stdin.fileno(), True)  # it lives as long as somebody may write to it
os.execvp(command[0], command)
