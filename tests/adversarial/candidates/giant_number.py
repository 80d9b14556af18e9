"""Sends a number of fifty thousand digits and one that is none.

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
    text = b'{"type": "fitted", "parameters": ' + b"9" * 50_000 + b"}"
    os.write(wire()._out, struct.pack(">IQ", len(text), 0) + text)
