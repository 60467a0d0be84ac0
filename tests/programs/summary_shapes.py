"""Programs whose memory is made of something in particular: summary_shapes.py SHAPE. Each says `ready` and waits."""

import os
import sys

MEGABYTE = 1_000_000


def wait():
    os.write(1, b"ready\n")
    os.read(0, 1)


def arrays():
    """numpy's data belong to their arrays, which a global holds."""
    import numpy

    global ARRAYS
    ARRAYS = [numpy.ones(2 * MEGABYTE, dtype=numpy.uint8) for _ in range(30)]
    wait()


def sqlite():
    """A database in memory: blocks of a C library."""
    import sqlite3

    database = sqlite3.connect(":memory:")
    database.execute("create table data (bytes blob)")
    for _ in range(400):
        database.execute("insert into data values (zeroblob(100000))")
    wait()


def server():
    """A server of asyncio with 200 clients at once: each handler holds what it has received."""
    import asyncio

    async def handle(reader, writer):
        received = bytearray(await reader.readexactly(10)) * 20_000
        arrived.append(len(received))
        await reader.read()
        writer.close()

    async def main():
        listening = await asyncio.start_server(handle, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        clients = []
        for _ in range(200):
            clients.append(await asyncio.open_connection("127.0.0.1", port))
            clients[-1][1].write(b"0123456789")
        while len(arrived) < len(clients):
            await asyncio.sleep(0.01)
        wait()

    arrived = []
    asyncio.run(main())


def threads():
    """Three threads beside the main one, each with data of its own."""
    import threading

    def work(number):
        data = [bytes(1000) + bytes([number]) for _ in range(5000 * (number + 1))]
        begun.release()
        done.wait()
        return data

    begun, done = threading.Semaphore(0), threading.Event()
    for number in range(3):
        threading.Thread(target=work, args=(number,), daemon=True).start()
        begun.acquire()
    wait()


def fragments():
    """Nearly all of many small objects die, and here and there one stays."""
    global KEPT
    everything = [bytes(300) for _ in range(200_000)]
    KEPT = everything[::200]
    del everything
    wait()


def garbage():
    """Cycles, and the collector is off."""
    import gc

    class Node:
        pass

    gc.disable()
    for _ in range(20_000):
        node = Node()
        node.data = bytes(2000)
        node.itself = node
    wait()


def leak():
    """Blocks of malloc that nobody knows any more."""
    import ctypes

    library = ctypes.CDLL(None)
    library.malloc.restype = ctypes.c_void_p
    for _ in range(400):
        ctypes.memset(library.malloc(100_000), 1, 100_000)
    wait()


def mapping():
    """A file in memory."""
    import mmap
    import tempfile

    with tempfile.TemporaryFile() as file:
        file.truncate(40 * MEGABYTE)
        mapped = mmap.mmap(file.fileno(), 0)
        mapped[:] = b"x" * len(mapped)
        wait()


def anonymous():
    """Memory straight from the kernel, half of which is touched."""
    import ctypes
    import mmap

    library = ctypes.CDLL(None)
    library.mmap.restype = ctypes.c_void_p
    library.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *3 * [ctypes.c_int], ctypes.c_long]
    address = library.mmap(None, 80 * MEGABYTE, 3, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
    ctypes.memset(address, 1, 40 * MEGABYTE)
    wait()


def untouched():
    """A large buffer that was never written to, beside one that was."""
    global BUFFERS
    BUFFERS = [bytes(100 * MEGABYTE), bytearray(b"x") * (30 * MEGABYTE)]
    wait()


def coroutines():
    """One suspended coroutine among others holds most."""
    import asyncio

    async def holder():
        data = [bytearray(b"x") * MEGABYTE for _ in range(30)]
        await asyncio.sleep(1000)
        return data

    async def main():
        tasks = [asyncio.ensure_future(holder())]
        await asyncio.sleep(0.01)
        wait()
        return tasks

    asyncio.run(main())


def attribute():
    """A dict in a class that grows and grows."""

    class Registry:
        known = {}

    for number in range(200_000):
        Registry.known[number] = str(number) * 10
    wait()


globals()[sys.argv[1]]()
