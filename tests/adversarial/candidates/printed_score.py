"""Prints a perfect score.

Promise: no score is read from output
Expect: completed
Unconfined: same
"""


def attack(train, budget):
    print('{"ndcg@10": 1.0}\nndcg@10: 1.0\nRESULT: best candidate ever')
