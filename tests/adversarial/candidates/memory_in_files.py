"""Keeps memory in files of its scratch and in anonymous files.

Promise: scratch is bounded
Expect: completed
"""

import ctypes
import os


def attack(train, budget):
    written = 0
    for place in ("/tmp", "/dev/shm"):
        try:
            with open(f"{place}/big", "wb", buffering=0) as file:
                while True:
                    written += file.write(b"x" * (1 << 20))
        except OSError:
            pass
    if written > 80 << 20:
        escaped(f"{written} bytes in scratch")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.memfd_create(b"big", 0) >= 0:
        escaped("anonymous file")
