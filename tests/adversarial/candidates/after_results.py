"""Waits until its results are in, then acts.

Promise: nothing runs after the last answer
Expect: completed
Unconfined: same
"""

import ctypes
import atexit
import os
import threading
import time


def bomb():
    time.sleep(0.2)
    ctypes.CDLL(None).prctl(15, b"evolver-evil", 0, 0, 0)
    time.sleep(600)


def attack(train, budget):
    threading.Thread(target=bomb, daemon=False).start()
    atexit.register(lambda: time.sleep(600))
