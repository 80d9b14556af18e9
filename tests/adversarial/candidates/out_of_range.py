"""Recommends items that do not exist.

Promise: results are checked
Expect: invalid_output
Words: outside
Unconfined: same
"""

import numpy as np


class Model:
    def __init__(self, params):
        pass

    def fit(self, train, budget):
        pass

    def recommend(self, users, k):
        return np.tile(np.arange(k) + 10**9, (len(users), 1))

    def state(self):
        return {}

    def load(self, state):
        pass
