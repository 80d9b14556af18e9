"""Closes the pipe and goes on living.

Promise: a silent worker is noticed
Expect: crash or timeout
Unconfined: same
Seconds: 3
"""

import sys


def wire():
    frame = sys._getframe()
    while "wire" not in frame.f_locals:
        frame = frame.f_back
    return frame.f_locals["wire"]


import os
import time


def attack(train, budget):
    os.close(wire()._out)
    os.close(wire()._in)
    time.sleep(600)
