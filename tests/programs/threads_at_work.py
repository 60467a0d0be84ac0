"""Threads that call a function; new ones begin all the time.

With `fork FILE` the program forks once, when there is the file, and tells how the child ended. With `tools` it tells
how many tools sys.monitoring has, whenever that changes."""

import os
import sys
import threading
import time


def worked():
    block = bytearray(123_456)
    return block


def work_on():
    for _ in range(20):
        worked()
        time.sleep(0.005)


def tools():
    """How many there are of sys.monitoring."""
    return sum(sys.monitoring.get_tool(i) is not None for i in range(6)) if hasattr(sys, "monitoring") else 0


def child():
    for _ in range(50):
        worked()
    return tools()


print("ready", flush=True)
if "fork" in sys.argv:
    while not os.path.exists(sys.argv[2]):
        worked()
        time.sleep(0.005)
    pid = os.fork()
    if pid == 0:
        os._exit(child())
    print("child", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
    while True:
        worked()
        time.sleep(0.005)
before = None
while "tools" in sys.argv:
    if tools() != before:
        before = tools()
        print("tools", before, flush=True)
    worked()
    time.sleep(0.005)
while True:
    thread = threading.Thread(target=work_on)
    thread.start()
    while thread.is_alive():
        time.sleep(0.005)
