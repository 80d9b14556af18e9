"""Takes all memory of the GPU, where there is one.

Promise: a GPU's memory comes back when the candidate is gone
Expect: completed or memory
"""

import torch


def attack(train, budget):
    kept = []
    while torch.cuda.is_available():
        kept.append(torch.ones(1 << 28, device="cuda"))
