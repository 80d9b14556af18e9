"""Returns scores for other users than asked.

Promise: results are checked
Expect: invalid_output
Words: shape
Unconfined: same
"""

import numpy as np
import torch


def attack(train, budget):
    pass


def bad_score(users):
    return np.zeros((len(users) + 1, users.n_items))
