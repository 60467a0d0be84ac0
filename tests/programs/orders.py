"""1,000 objects of a class of its own (or as many as the first argument says), and then it waits. With a second
argument it becomes another program afterwards."""

import os
import sys


class Order:
    def __init__(self, number):
        self.number = number


orders = [Order(number) for number in range(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)]
secret = "of-nobody-elses-business"
print("ready", flush=True)
sys.stdin.readline()
if len(sys.argv) > 2:
    os.execv(sys.argv[2], sys.argv[2:])
