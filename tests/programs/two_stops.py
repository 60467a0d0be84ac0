"""Stops for the debugger twice, the second time with 3,000,000 bytes more."""

import signal

signal.raise_signal(signal.SIGINT)
held = bytearray(3_000_000)
signal.raise_signal(signal.SIGINT)
