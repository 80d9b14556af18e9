"""Changes the clock and the name of the machine.

Promise: nothing of the machine can be changed
Expect: completed
"""

import ctypes
import os
import platform

COLUMN = 0 if platform.machine() == "x86_64" else 1
CALLS = {
    "clock_settime": ((227, 112), (0, 0)),
    "settimeofday": ((164, 170), (0, 0)),
    "sethostname": ((170, 161), (b"evil", 4)),
    "reboot": ((169, 142), (0, 0, 0, 0)),
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
