"""Kills its own process group and itself with it.

Promise: only the candidate dies of it
Expect: crash
Words: SIGKILL
Unconfined: same
"""

import os
import signal


def attack(train, budget):
    os.killpg(0, signal.SIGKILL)
