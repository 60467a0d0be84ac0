"""Keeps 10 MB blocks, in `threads` threads at once, up to `total` MB: python past_the_limit.py THREADS TOTAL"""

import sys
import threading

BLOCK = 10_000_000
thread_count, total = map(int, sys.argv[1:3])
kept = []


def work():
    while len(kept) * 10 < total:
        kept.append(b"x" * BLOCK)


threads = [threading.Thread(target=work) for _ in range(thread_count - 1)]
for thread in threads:
    thread.start()
work()
for thread in threads:
    thread.join()
print("whole")
