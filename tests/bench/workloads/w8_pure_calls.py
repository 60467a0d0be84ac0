"""W8 (control): as W0, with a loop that makes no int objects, so that nothing at all is allocated between the calls."""
import itertools
from common import finish, scale
from w0_calls import f


def main(n):
    g = f
    for _ in itertools.repeat(None, n):
        g(1)
        g(2)
        g(3)
        g(4)
        g(5)
    return n * 5


if __name__ == "__main__":
    n = main(int(6_000_000 * scale()))
    finish(calls=n)
