"""Answers before it is asked, with lists of items that do not exist.

Promise: results are checked
Expect: invalid_output
Words: 1000000
Unconfined: same
"""

import sys


def wire():
    frame = sys._getframe()
    while "wire" not in frame.f_locals:
        frame = frame.f_back
    return frame.f_locals["wire"]


import struct


def attack(train, budget):
    wire().send({"type": "fitted", "parameters": 1})
    wire().send({"type": "lists"}, struct.pack("<10i", *range(1_000_000, 1_000_010)))
