"""Does what memory breakpoints wait for, one thing after the other, once a line comes through the FIFO that is its
argument."""

import sys


class Order:
    def __init__(self, number):
        self.number = number


kept = [bytearray(1000)]
orders = [Order(0)]


def hold(size):
    kept.append(bytearray(size))


def drop():
    kept.clear()


def take_orders(count):
    for number in range(1, count + 1):
        orders.append(Order(number))


def wait():
    print("ready", flush=True)
    with open(sys.argv[1]) as signal:
        signal.readline()


def main():
    wait()
    hold(30_000_000)
    hold(40_000_000)
    drop()
    take_orders(600)
    hold(90_000_000)


main()
