"""Stops itself with SIGSTOP, so that nothing is ever heard of it.

Promise: deadlines are hard
Expect: timeout
Unconfined: same
Seconds: 1
"""

import os
import signal


def attack(train, budget):
    os.kill(os.getpid(), signal.SIGSTOP)
