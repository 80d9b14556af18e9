"""Ignores every signal and hangs.

Promise: deadlines are hard
Expect: timeout
Unconfined: same
Seconds: 1
"""

import signal


def attack(train, budget):
    for number in range(1, 65):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    while True:
        pass
