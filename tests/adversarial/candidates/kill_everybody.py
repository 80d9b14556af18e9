"""Sends signals to every process that it can name.

Promise: the parent cannot be killed
Expect: completed or crash
"""

import os
import signal


def attack(train, budget):
    for pid in (1, os.getppid(), int("@PARENT@")):
        for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGSTOP):
            if pid not in (0, os.getpid()):
                try:
                    os.kill(pid, number)
                except OSError:
                    pass
