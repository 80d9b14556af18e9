"""Makes a new user namespace, in which it would be root.

Promise: no new user namespaces
Expect: completed
"""

import ctypes
import os
import platform

COLUMN = 0 if platform.machine() == "x86_64" else 1
CALLS = {
    "unshare user": ((272, 97), (0x10000000,)),
    "unshare mount": ((272, 97), (0x00020000,)),
    "clone user": ((56, 220), (0x10000000 | 17, 0, 0, 0, 0)),
    "setns": ((308, 268), (0, 0)),
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
