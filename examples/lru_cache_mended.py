"""A cache on a method, mended: each instance has a cache of its own, which dies with it.

The work is that of `lru_cache.py`, and the arguments too. The instance now holds a cached function that holds the
bound method that holds the instance: a cycle, so a dead instance waits for Python's cycle collector. That is what
still makes the peak several times that of one instance.
"""

import functools

from lru_cache import main


class Algorithms:
    def __init__(self, inc):
        self.inc = inc
        self.factorial_plus = functools.lru_cache(maxsize=None)(self.factorial_plus)

    def factorial_plus(self, n):
        if n <= 1:
            return 1 + self.inc
        return n * self.factorial_plus(n - 1) + self.inc


if __name__ == "__main__":
    main(Algorithms)
