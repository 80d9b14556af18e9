"""Raises an error with a message of megabytes.

Promise: reasons are bounded
Expect: crash
Words: ValueError
Unconfined: same
"""


def attack(train, budget):
    raise ValueError("x" * 5_000_000)
