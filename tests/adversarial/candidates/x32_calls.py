"""Calls the kernel through the x32 numbers, which filters forget.

Promise: the filter cannot be gone round
Expect: crash
Words: SIGSYS
"""

import ctypes
import os
import platform


def attack(train, budget):
    if platform.machine() != "x86_64":
        os.kill(os.getpid(), 31)  # other machines have no such door
    ctypes.CDLL(None).syscall(ctypes.c_long(0x40000000 + 39))
    escaped("x32 call came back")
