"""Returns words for scores.

Promise: results are checked
Expect: invalid_output
Words: dtype
Unconfined: same
"""

import numpy as np
import torch


def attack(train, budget):
    pass


def bad_score(users):
    return np.full((len(users), users.n_items), "best")
