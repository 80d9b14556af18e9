"""Answers for one user only.

Promise: results are checked
Expect: invalid_output
Words: shape
Unconfined: same
"""

import numpy as np


class Model:
    def __init__(self, params):
        pass

    def fit(self, train, budget):
        pass

    def recommend(self, users, k):
        return np.arange(k)[None]

    def state(self):
        return {}

    def load(self, state):
        pass
