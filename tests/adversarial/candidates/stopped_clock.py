"""Stops every clock that Python has, to look fast.

Promise: times are the parent's
Expect: completed
Unconfined: same
"""

import time


def attack(train, budget):
    time.sleep(0.3)
    time.time = time.monotonic = time.perf_counter = lambda: 0.0
