"""The classic way out of a chroot.

Promise: no file of the host beyond the training data
Expect: completed
"""

import os


def attack(train, budget):
    os.makedirs("/tmp/jail", exist_ok=True)
    try:
        os.chroot("/tmp/jail")
    except OSError:
        return
    escaped("chroot")
