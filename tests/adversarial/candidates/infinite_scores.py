"""Scores one item as infinite.

Promise: results are checked
Expect: invalid_output
Words: inf
Unconfined: same
"""

import numpy as np
import torch


def attack(train, budget):
    pass


def bad_score(users):
    scores = torch.zeros(len(users), users.n_items)
    scores[0, 0] = float("inf")
    return scores
