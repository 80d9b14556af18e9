"""Hides an object with __reduce__ in its state.

Promise: nothing is ever pickled
Expect: contract
Words: dtype object
Unconfined: same
"""

import numpy as np


class Evil:
    def __reduce__(self):
        return open, ("@CANARY@/evil", "w")


def attack(train, budget):
    pass


def bad_state():
    return {"x": np.array([Evil()], dtype=object)}
