"""1,000 objects of a class of its own, and then it waits."""

import sys


class Order:
    def __init__(self, number):
        self.number = number


orders = [Order(number) for number in range(1000)]
secret = "of-nobody-elses-business"
print("ready", flush=True)
sys.stdin.readline()
