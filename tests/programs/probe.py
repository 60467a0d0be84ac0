"""Prints what a program can see of its surroundings: a recorded run must print what a bare one does."""

import json
import os
import subprocess
import sys

CHILD = "import json, os; print(json.dumps(dict(os.environ)))"


def open_files():
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            # Numbers of pipes and sockets differ from run to run; that there is one does not.
            found[int(name)] = os.readlink("/proc/self/fd/" + name).split(":[")[0].replace(str(os.getpid()), "SELF")
        except OSError:
            pass  # the one that listdir() itself had open
    return found


def variables(text):
    return dict(line.partition("=")[::2] for line in text.splitlines())


def signal_masks():
    with open("/proc/self/status") as status:
        return dict(line.split() for line in status if line.startswith("Sig") and not line.startswith("SigQ"))


seen = {
    "arguments": sys.argv[1:],
    "environment": dict(os.environ),
    "files": open_files(),
    "signals": signal_masks(),
    "python_child": json.loads(subprocess.check_output([sys.executable, "-c", CHILD])),
    "shell_child": variables(subprocess.check_output(["/bin/sh", "-c", "env"], text=True)),
    "exec_child": variables(subprocess.check_output(["env"], text=True)),
}
with open(sys.argv[1], "w") as result:
    json.dump(seen, result, sort_keys=True, indent=1)
print("to stdout")
print("to stderr", file=sys.stderr)
sys.exit(7)
