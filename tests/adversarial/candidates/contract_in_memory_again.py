"""Looks for what the candidate before it left in memory or scratch.

Promise: nothing leaks from one candidate to the next
Expect: completed
"""

import os

import numpy
import torch
import evolver.contract


def attack(train, budget):
    if hasattr(torch, "evil") or hasattr(numpy, "evil") or evolver.contract.Interactions is None:
        escaped("what the last one left")
    for name in ("/tmp/note", "/dev/shm/note"):
        if os.path.exists(name):
            escaped(name)
        open(name, "w").write("to whom it may concern")
