"""Says `ready` and waits."""

import os

os.write(1, b"ready\n")
os.read(0, 1)
