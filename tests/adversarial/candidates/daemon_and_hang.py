"""Hides a busy daemon outside its session and its parent, then hangs itself.

Promise: deadlines are hard
Expect: timeout
Unconfined: same
Seconds: 1
"""

import os


def attack(train, budget):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for descriptor in range(3, 256):
                try:
                    os.close(descriptor)
                except OSError:
                    pass
            while True:
                pass
        os._exit(0)
    os.wait()
    while True:
        pass
