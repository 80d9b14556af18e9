"""Spins in many threads.

Promise: deadlines are hard
Expect: timeout
Unconfined: same
Seconds: 1
"""

import threading


def spin():
    while True:
        sum(range(10_000))


def attack(train, budget):
    for _ in range(16):
        threading.Thread(target=spin).start()
    spin()
