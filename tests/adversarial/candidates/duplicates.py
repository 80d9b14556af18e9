"""Recommends its best item many times.

Promise: results are checked
Expect: invalid_output
Words: twice
Unconfined: same
"""

import numpy as np


class Model:
    def __init__(self, params):
        pass

    def fit(self, train, budget):
        pass

    def recommend(self, users, k):
        return np.zeros((len(users), k), dtype=np.int64)

    def state(self):
        return {}

    def load(self, state):
        pass
