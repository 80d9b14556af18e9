"""Sleeps where Python cannot be interrupted.

Promise: deadlines are hard
Expect: timeout
Unconfined: same
Seconds: 1
"""

import ctypes


def attack(train, budget):
    libc = ctypes.PyDLL(None)  # keeps the interpreter's lock
    while True:
        libc.sleep(600)
