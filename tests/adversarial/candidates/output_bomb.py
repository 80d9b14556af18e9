"""Prints without end.

Promise: output is bounded
Expect: crash
Words: printed
Unconfined: same
"""


def attack(train, budget):
    while True:
        print("x" * 100_000)
