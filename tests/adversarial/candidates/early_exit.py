"""Leaves with success before it did anything.

Promise: an exit is not a result
Expect: crash
Words: exit code 0
Unconfined: same
"""

import os


def attack(train, budget):
    os._exit(0)
