"""Announces a reply of many gigabytes.

Promise: results are bounded in size
Expect: invalid_output
Words: bytes
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
    os.write(wire()._out, struct.pack(">IQ", 2, 1 << 62) + b"{}")
