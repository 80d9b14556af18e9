"""Scores one item NaN.

Promise: results are checked
Expect: invalid_output
Words: NaN
Unconfined: same
"""

import numpy as np
import torch


def attack(train, budget):
    pass


def bad_score(users):
    scores = np.zeros((len(users), users.n_items))
    scores[-1, -1] = np.nan
    return scores
