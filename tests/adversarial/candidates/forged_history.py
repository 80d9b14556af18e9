"""Lists what the user already has, past the runner's mask.

Promise: results are checked
Expect: invalid_output
Words: history
Unconfined: same
"""

import sys


def wire():
    frame = sys._getframe()
    while "wire" not in frame.f_locals:
        frame = frame.f_back
    return frame.f_locals["wire"]


import ranking


def attack(train, budget):
    def rank(model, users, k, **ignored):
        import numpy as np

        lists = np.full((len(users), k), -1, dtype=np.int32)
        for row in range(len(users)):
            own = users.history(row)[:k]
            lists[row, : len(own)] = own
        return lists

    ranking.rank = rank
