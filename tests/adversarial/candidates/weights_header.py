"""Sends weights whose header lies about sizes and places.

Promise: weights are checked
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


import struct


def attack(train, budget):
    header = b'{"x":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4]}}'
    wire().send(
        {"type": "fitted", "parameters": 1}, struct.pack("<Q", len(header)) + header + b"1234"
    )
