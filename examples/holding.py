"""Clinging onto memory.

100 MB of data go through four steps, each a function that returns new data. At any time a step reads one array and
makes another: 200 MB should do. The peak is 400 MB. Who holds the other two arrays?

    $ gdb --args /usr/bin/python3 examples/holding.py --pause
    (gdb) source gdb/memtrace.py
    (gdb) memtrace record
    (gdb) run                        the program stops itself where its memory is at its highest
    (gdb) memtrace peak

`holding_mended.py` is the same program without the mistake. Options:

    --pause      stop for the debugger (SIGINT) inside the last step, before it returns
    --bytearray  use bytearray even when numpy is there
    --no-work    take the same steps with no data: what the program needs besides
"""

import signal
import sys

try:
    import numpy
except ImportError:
    numpy = None

USE_NUMPY = numpy is not None and "--bytearray" not in sys.argv
SIZE = 0 if "--no-work" in sys.argv else 100_000_000

SUBTRACT = 3
POWER = 2
ADD = 10


def load_data():
    return numpy.ones(SIZE, dtype=numpy.uint8) if USE_NUMPY else bytearray(SIZE)


def each_byte(function):
    """The table for bytearray.translate() that applies `function` to every byte."""
    return bytes(function(byte) % 256 for byte in range(256))


def subtract_scalar(data, scalar):
    return data - scalar if USE_NUMPY else data.translate(each_byte(lambda byte: byte - scalar))


def raise_to_power(data, power):
    return data**power if USE_NUMPY else data.translate(each_byte(lambda byte: byte**power))


def duplicate_data(data):
    return data * 2 if USE_NUMPY else data.translate(each_byte(lambda byte: byte * 2))


def add_scalar(data, scalar):
    result = data + scalar if USE_NUMPY else data.translate(each_byte(lambda byte: byte + scalar))
    pause_for_debugger()
    return result


def pause_for_debugger():
    # The signal of a Ctrl-C: both debuggers stop at it, keep it to themselves on `continue`, and in batch mode go on with
    # their next command, where lldb takes other signals for a crash.
    if "--pause" in sys.argv:
        signal.raise_signal(signal.SIGINT)


def process_data():
    # The loaded array dies here: only the call holds it. Its successor has a name, and a name holds on until it is
    # bound anew or its function returns. Nothing below the second line needs `data`, and still it is there in the
    # last step; so is `data_pow`. With the argument of add_scalar() and its result that makes four.
    data = subtract_scalar(load_data(), SUBTRACT)
    data_pow = raise_to_power(data, POWER)
    return add_scalar(duplicate_data(data_pow), ADD)


if __name__ == "__main__":
    process_data()
