"""Returns an object that lies about what it is.

Promise: results are checked
Expect: crash
Words: RuntimeError
Unconfined: same
"""

import numpy as np
import torch


def attack(train, budget):
    pass


def bad_score(users):
    class Liar:
        shape = (len(users), users.n_items)
        dtype = np.dtype("float32")

        def __array__(self, *given, **named):
            raise RuntimeError("no")

    return Liar()
