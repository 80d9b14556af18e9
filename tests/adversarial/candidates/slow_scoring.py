"""Trains at once and scores without end.

Promise: deadlines hold for scoring too
Expect: timeout
Words: request
Unconfined: same
Seconds: 1
"""

import time


def attack(train, budget):
    pass


class Model:
    def __init__(self, params):
        pass

    def fit(self, train, budget):
        pass

    def score(self, users):
        time.sleep(600)

    def state(self):
        return {}

    def load(self, state):
        pass
