"""Dies of a null pointer.

Promise: a crash is named
Expect: crash
Words: SIGSEGV
Unconfined: same
"""

import ctypes


def attack(train, budget):
    ctypes.string_at(0)
