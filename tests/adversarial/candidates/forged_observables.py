"""Sends observables that are no numbers, under names that play with terminals.

Promise: results are checked
Expect: invalid_output
Unconfined: same
"""

import sys


def wire():
    frame = sys._getframe()
    while "wire" not in frame.f_locals:
        frame = frame.f_back
    return frame.f_locals["wire"]


def attack(train, budget):
    observed = {"\x1b[2Jgone": "</script>", "deep": [[[]]], "much": 10**400}
    wire().send({"type": "fitted", "parameters": 1, "observed": observed})
