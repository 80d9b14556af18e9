"""Claims that it was killed for time, which only the parent can say.

Promise: failures are named by the parent
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
    wire().send({"type": "failed", "kind": "timeout", "reason": "not my fault"})
