"""Spreads its memory over children, each within bounds.

Promise: the whole tree counts; the machine stays responsive
Expect: memory
Unconfined: same
"""

import os
import time


def attack(train, budget):
    for _ in range(8):
        if os.fork() == 0:
            block = bytearray(100 << 20)
            for place in range(0, len(block), 4096):
                block[place] = 1
            time.sleep(60)
    time.sleep(60)
