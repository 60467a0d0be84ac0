"""For each byte that it reads holds or drops a bytearray, as the byte says, and says `ready`.

The digits 0 to 9 hold a bytearray of 1,000,000 bytes and as many more, each at a line of its own; `-` drops the one that
is held the longest; anything else does nothing. At level heap a bytearray is one block, a byte longer than itself.
"""

import os

held = [None] * 1000  # no list that grows, no tuple that is kept, in what is measured
first = last = 0


def even(size):
    return bytearray(size)


def odd(size):
    return bytearray(size)


os.write(1, b"ready\n")
while True:
    step = os.read(0, 1)
    if not step:
        break
    if step == b"-":
        held[first] = None
        first += 1
    elif step.isdigit():
        held[last] = (odd if int(step) % 2 else even)(1_000_000 + int(step))
        last += 1
    os.write(1, b"ready\n")
