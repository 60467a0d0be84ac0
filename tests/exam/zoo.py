"""zoo.py TRUTH [--numpy]: builds at least one object of every kind that CPython knows, in all its forms of storage,
writes what the interpreter says of them (truth.py), says "ready" and waits for good.

ZOO has them all: {name: object}, and the name says the kind ("dict_split_instance"; "list_0", "list_1" where there are
several). They are kept alive by nothing else but each other.
"""
import sys
import threading
import time

import held
import zoo_code
import zoo_library
import zoo_values
from truth import stop

ZOO = {}
KNOWN_LINKS = {}  # name -> [(link, id)] that only the builder can know: behind a C field that Python can't read
KEPT = []  # what must live and is shown nowhere


class Add:
    """Puts animals into the zoo."""

    def __call__(self, name, *animals):
        names = [name] if len(animals) == 1 else ["%s_%d" % (name, i) for i in range(len(animals))]
        for one_name, animal in zip(names, animals):
            assert one_name not in ZOO, one_name
            ZOO[one_name] = animal
        return name

    def keep(self, one):
        KEPT.append(one)


def know(name, link, target):
    KNOWN_LINKS.setdefault(name, []).append((link, id(target)))


def _waiting_threads(local):
    """Each waits in its own way for what won't come, with variables that can be recognised."""
    started = threading.Semaphore(0)
    lock, condition = threading.Lock(), threading.Condition()
    lock.acquire()

    def in_lock(argument):
        local.of_thread = ["of the thread in a lock"]
        in_a_lock = ["local of a thread in a lock", argument]
        started.release()
        lock.acquire()
        return in_a_lock

    def in_sleep(argument):
        local.of_thread = ["of the thread in a sleep"]
        in_a_sleep = ["local of a sleeping thread", argument]
        started.release()
        time.sleep(10**6)
        return in_a_sleep

    def in_condition(argument):
        in_a_condition = ["local of a thread in a condition", argument]
        with condition:
            started.release()
            condition.wait()
        return in_a_condition

    def in_generator(argument):
        def generator():
            in_a_generator = ["local of a running generator"]
            started.release()
            lock.acquire()
            yield in_a_generator

        return list(generator())

    threads = [
        threading.Thread(target=target, args=([target.__name__],), name=target.__name__, daemon=True)
        for target in (in_lock, in_sleep, in_condition, in_generator)
    ]
    for thread in threads:
        thread.start()
        started.acquire()
    return threads


def main():
    path = sys.argv[1]
    with_numpy = "--numpy" in sys.argv[2:]
    sys.setrecursionlimit(2000)
    add, book = Add(), held.Book()
    zoo_values.build(add)
    zoo_code.build(add)
    zoo_library.build(add)
    if with_numpy:
        import zoo_numpy

        zoo_numpy.build(add, know)
    add("threads", *_waiting_threads(ZOO["threading_local"]))
    held.build(book, with_numpy)
    time.sleep(0.1)  # the threads are about to wait
    held.call_with_local(book, lambda: stop(path, ZOO, book.records, KNOWN_LINKS))


if __name__ == "__main__":
    main()
