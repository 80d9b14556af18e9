"""Climbs out through /proc: root, cwd and descriptors of the first process.

Promise: no file of the host beyond the training data
Expect: completed
"""

import os


def attack(train, budget):
    for pid in ("1", "self", str(os.getppid())):
        for way in ("root", "cwd", "root/..", "cwd/../../.."):
            if os.path.exists(f"/proc/{pid}/{way}@LABELS@"):
                escaped(f"/proc/{pid}/{way}")
