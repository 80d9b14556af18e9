"""Asks torch for one giant tensor.

Promise: memory is bounded and named
Expect: memory
Unconfined: same
"""

import torch


def attack(train, budget):
    torch.ones(1 << 40)
