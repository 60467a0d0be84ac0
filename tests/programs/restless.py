"""Four threads that allocate, import, fork and call, and a result that does not depend on when anybody looks.

Works until its standard input is at its end, and prints one line: what it computed, as often as it did.
"""

import hashlib
import importlib
import os
import re
import select
import sys
import threading
import time
import warnings

MODULES = "json csv decimal fractions sqlite3 xml.dom.minidom http.client email.message zipfile ctypes".split()
warnings.simplefilter("ignore")  # forking with threads is what this is for
digests = {}


def allocate(number):
    kept = [[str(i + number)] * 3 for i in range(300)]
    kept.append(bytearray(100_000 + number))
    return "".join(str(part[0]) for part in kept)


def import_again(number):
    name = MODULES[number % len(MODULES)]
    for loaded in [module for module in sys.modules if module.split(".")[0] == name.split(".")[0]]:
        if name not in ("ctypes", "decimal"):  # libraries stay
            sys.modules.pop(loaded, None)
    return importlib.import_module(name).__name__


def fork(number):
    child = os.fork()
    if child == 0:
        os._exit(len(str([0.5 * i for i in range(50)])) % 200)
    return str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def compute(number):
    x = 1.0
    for i in range(3000):
        x = x * 1.0000001 + 0.1
    time.sleep(0.002)
    return "%.6f" % x + str(len(re.findall("a+", "aab" * 200)))


def work(name, function, period):
    """Of each of `period` numbers the answer must always be the same."""
    answers = {}
    done = 0
    while done < period or not select.select([sys.stdin], [], [], 0)[0]:
        number = done % period
        answer = hashlib.sha256(function(number).encode()).hexdigest()
        if answers.setdefault(number, answer) != answer:
            digests[name] = "changed"
            return
        done += 1
    digests[name] = hashlib.sha256(repr(sorted(answers.items())).encode()).hexdigest()


jobs = [("allocate", allocate, 7), ("fork", fork, 1), ("compute", compute, 5)]
threads = [threading.Thread(target=work, args=job) for job in jobs]
for thread in threads:
    thread.start()
work("import", import_again, 10)  # no thread is idle
for thread in threads:
    thread.join()
print(" ".join("%s=%s" % (name, digest[:12]) for name, digest in sorted(digests.items())), flush=True)
