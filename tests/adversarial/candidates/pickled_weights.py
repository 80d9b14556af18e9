"""Sends a pickle where weights should be.

Promise: nothing is ever unpickled
Expect: invalid_output
Words: safetensors
Unconfined: same
"""

import sys


def wire():
    frame = sys._getframe()
    while "wire" not in frame.f_locals:
        frame = frame.f_back
    return frame.f_locals["wire"]


import pickle


class Evil:
    def __reduce__(self):
        return open, ("@CANARY@/evil", "w")


def attack(train, budget):
    wire().send({"type": "fitted", "parameters": 1}, pickle.dumps(Evil()))
