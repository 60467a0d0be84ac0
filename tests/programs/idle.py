"""Waits in one way for a line on standard input; then allocates a known block, and waits for another line.

    idle.py WAY
"""

import os
import select
import sys
import threading
import time


def by_sleep():
    time.sleep(3)


def by_read():
    pass


def by_select():
    select.select([0], [], [])


def by_poll():
    poll = select.poll()
    poll.register(0, select.POLLIN)
    poll.poll(60_000)


def by_epoll():
    import socket

    # epoll takes pipes, but no plain files
    epoll = select.epoll()
    ours, theirs = socket.socketpair()
    threading.Thread(target=lambda: (select.select([0], [], []), theirs.send(b"x")), daemon=True).start()
    epoll.register(ours, select.EPOLLIN)
    epoll.poll()


def by_accept():
    import socket

    server = socket.socket(socket.AF_UNIX)
    server.bind(b"\0memtrace-idle-%d" % os.getpid())
    server.listen()

    def connect():
        select.select([0], [], [])
        socket.socket(socket.AF_UNIX).connect(server.getsockname())

    threading.Thread(target=connect, daemon=True).start()
    server.accept()


def by_lock():
    lock = threading.Lock()
    lock.acquire()
    threading.Thread(target=lambda: (select.select([0], [], []), lock.release()), daemon=True).start()
    lock.acquire(timeout=60)


def by_calculation():
    x = 1.0
    while not select.select([0], [], [], 0)[0]:
        for _ in range(100_000):
            x = x * 1.0000001


ways = {name[len("by_") :]: function for name, function in globals().items() if name.startswith("by_")}
print("ready", flush=True)
ways[sys.argv[1]]()
os.read(0, 1)
block = bytearray(5_000_000)  # the known block
print("allocated", flush=True)
os.read(0, 1)
print("done", len(block), flush=True)
