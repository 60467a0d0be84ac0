"""Says `ready`, and for each byte it reads allocates 1,000,000 bytes more and says `ready` again."""

import os

held = []
os.write(1, b"ready\n")
while os.read(0, 1):
    held.append(bytearray(1_000_000))
    os.write(1, b"ready\n")
