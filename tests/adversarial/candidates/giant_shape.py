"""Returns scores of a giant shape that costs it nothing.

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
    return np.broadcast_to(np.float32(0), (1 << 30, 1 << 20))
