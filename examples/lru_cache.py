"""A cache on a method.

`factorial_plus` is slow without a cache and instant with one, so it got `lru_cache`. But a method's cache belongs to
the class, and each of its keys is (self, n). So the cache holds every instance it has ever seen, and every number,
until the program ends.

    $ build/memtrace run -- /usr/bin/python3 examples/lru_cache.py 10

`lru_cache_mended.py` gives each instance a cache of its own. Arguments:

    N        do it N times smaller: N times fewer instances, with N times smaller numbers
    --pause  stop for the debugger (SIGINT) when the work is done
"""

import functools
import signal
import sys


class Algorithms:
    def __init__(self, inc):
        self.inc = inc

    # The mistake is the next line: one unbounded cache for all instances, with `self` in every key.
    @functools.lru_cache(maxsize=None)
    def factorial_plus(self, n):
        if n <= 1:
            return 1 + self.inc
        return n * self.factorial_plus(n - 1) + self.inc


def last_digits(algorithms, count):
    """The last digits of `count` results for each of `count` instances, none of which is needed afterwards."""
    for inc in range(count):
        instance = algorithms(inc)
        yield from (instance.factorial_plus(n) % 10 for n in range(count))


def main(algorithms):
    smaller = next((int(argument) for argument in sys.argv[1:] if argument.isdigit()), 1)
    digits = sum(last_digits(algorithms, 500 // smaller)) + sum(last_digits(algorithms, 1000 // smaller))
    if "--pause" in sys.argv:
        signal.raise_signal(signal.SIGINT)
    print("sum of the last digits:", digits)


if __name__ == "__main__":
    main(Algorithms)
