"""Sends a score of its own over the pipe.

Promise: no score comes from a candidate
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
    wire().send({"type": "scored", "ndcg@10": 1.0})
