"""Mounts file systems, old and new ways.

Promise: no mount
Expect: completed
"""

import ctypes
import os
import platform

COLUMN = 0 if platform.machine() == "x86_64" else 1
CALLS = {
    "mount": ((165, 40), (b"none", b"/tmp", b"tmpfs", 0, 0)),
    "umount": ((166, 39), (b"/view", 2)),
    "open_tree": ((428, 428), (-100, b"/", 1)),
    "fsopen": ((430, 430), (b"tmpfs", 0)),
    "pivot_root": ((155, 41), (b"/tmp", b"/tmp")),
}


def attack(train, budget):
    libc = ctypes.CDLL(None, use_errno=True)
    for name, (numbers, arguments) in CALLS.items():
        result = libc.syscall(
            numbers[COLUMN],
            *(ctypes.c_long(one) if isinstance(one, int) else one for one in arguments),
        )
        if result != -1 or ctypes.get_errno() != 1:
            escaped(f"{name}: {result}, {os.strerror(ctypes.get_errno())}")
