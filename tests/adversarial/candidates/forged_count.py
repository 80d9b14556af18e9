"""Claims an absurd number of parameters.

Promise: results are checked
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
    wire().send({"type": "fitted", "parameters": -(10**30)})
