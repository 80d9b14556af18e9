"""Rewrites the contract and the libraries in memory, for the next candidate.

Promise: nothing leaks from one candidate to the next
Expect: completed
"""

import sys

import numpy
import torch
import evolver.contract


def attack(train, budget):
    if hasattr(torch, "evil"):
        escaped("what the last one left")
    torch.evil = numpy.evil = True
    evolver.contract.Interactions = None
    torch.matmul = torch.tensor = None
    numpy.bincount = lambda *a, **k: None
