"""Traces the first process and its parent.

Promise: no ptrace
Expect: completed
"""

import ctypes
import os
import platform

COLUMN = 0 if platform.machine() == "x86_64" else 1
CALLS = {
    "attach to 1": ((101, 117), (16, 1, 0, 0)),
    "seize 1": ((101, 117), (0x4206, 1, 0, 0)),
    "trace me": ((101, 117), (0, 0, 0, 0)),
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
