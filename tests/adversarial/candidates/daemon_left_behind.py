"""Leaves a daemon behind that outlives its session and its parent.

Promise: the whole tree ends with the candidate
Expect: completed
Unconfined: same
"""

import ctypes
import os
import time


def attack(train, budget):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            ctypes.CDLL(None).prctl(15, b"evolver-evil", 0, 0, 0)
            for descriptor in range(3, 256):
                try:
                    os.close(descriptor)
                except OSError:
                    pass
            time.sleep(600)
        os._exit(0)
    os.wait()
