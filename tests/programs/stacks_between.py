"""Allocates between starts of threads, whose stacks so lie beside whatever was mapped meanwhile. Says `ready` and waits."""

import sys
import threading

kept = []


def work():
    kept.append([bytearray(5000) for _ in range(500)])
    done.wait()


done = threading.Event()
for _ in range(6):
    threading.Thread(target=work, daemon=True).start()
    kept.append([bytearray(100) for _ in range(5000)])
while len(kept) < 12:
    pass
print("ready", flush=True)
sys.stdin.readline()
