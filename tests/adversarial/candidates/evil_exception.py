"""Raises an error whose message raises.

Promise: a broken error is an error
Expect: crash
Words: Evil
Unconfined: same
"""


class Evil(BaseException):
    def __str__(self):
        raise self


def attack(train, budget):
    raise Evil
