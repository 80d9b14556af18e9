"""Reads and adds keys of the kernel's key ring.

Promise: no keyctl
Expect: completed
"""

import ctypes
import os
import platform

COLUMN = 0 if platform.machine() == "x86_64" else 1
CALLS = {
    "keyctl get": ((250, 219), (0, -4, 0)),
    "add_key": ((248, 217), (b"user", b"evil", b"x", 1, -4)),
    "request_key": ((249, 218), (b"user", b"evil", 0, -4)),
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
