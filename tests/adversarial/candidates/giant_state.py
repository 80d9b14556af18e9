"""Returns a state larger than any memory.

Promise: memory is bounded and named
Expect: memory
Unconfined: same
"""

import numpy as np


def attack(train, budget):
    pass


def bad_state():
    return {"x": np.broadcast_to(np.zeros(1), (1 << 40,))}
