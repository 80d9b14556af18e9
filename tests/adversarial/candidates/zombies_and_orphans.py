"""Leaves children that ignore every signal they can.

Promise: the whole tree ends with the candidate
Expect: completed
Unconfined: same
"""

import ctypes
import os
import signal
import time


def attack(train, budget):
    for _ in range(5):
        if os.fork() == 0:
            ctypes.CDLL(None).prctl(15, b"evolver-evil", 0, 0, 0)
            for number in range(1, 65):
                try:
                    signal.signal(number, signal.SIG_IGN)
                except (OSError, ValueError):
                    pass
            time.sleep(600)
