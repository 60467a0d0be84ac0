"""Works with orders by the C extension `leaky`: each round costs memory that never comes back. Which function keeps it?"""

import os

import leaky


def make_orders():
    return [[customer] * 1000 for customer in ("ann", "bob", "eve")]


def rounds(orders):
    for _ in range(20):
        leaky.count(orders, orders[0])
        leaky.first(orders)
        leaky.longest(orders)


def main():
    orders = make_orders()
    watched = orders[1]
    os.getpid()  # a place to stop at: everything is there
    rounds(orders)
    os.getppid()  # and once more
    del orders, watched
    print("done")


main()
