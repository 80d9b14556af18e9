"""Sends lists as .npy with a header that would be evaluated.

Promise: results are raw numbers, never parsed
Expect: invalid_output
Unconfined: same
"""

import sys


def wire():
    frame = sys._getframe()
    while "wire" not in frame.f_locals:
        frame = frame.f_back
    return frame.f_locals["wire"]


def attack(train, budget):
    evil = b"\x93NUMPY\x01\x00\x76\x00{'descr': __import__('os').system('touch @CANARY@/evil'), 'shape': (1,)}"
    wire().send({"type": "fitted", "parameters": 1})
    wire().send({"type": "lists"}, (evil + b" " * 40)[:40])
