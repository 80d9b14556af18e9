"""Sends JSON that is nested a hundred thousand times.

Promise: results are parsed with suspicion
Expect: invalid_output
Unconfined: same
"""

import sys


def wire():
    frame = sys._getframe()
    while "wire" not in frame.f_locals:
        frame = frame.f_back
    return frame.f_locals["wire"]


import os
import struct


def attack(train, budget):
    text = b"[" * 60_000
    os.write(wire()._out, struct.pack(">IQ", len(text), 0) + text)
