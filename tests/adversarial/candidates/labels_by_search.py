"""Walks everything it can see for a file with the name of the labels.

Promise: labels never enter the sandbox
Expect: completed
"""

import os

NAME = os.path.basename("@LABELS@")


def attack(train, budget):
    for folder, folders, files in os.walk("/"):
        folders[:] = [f for f in folders if f not in ("proc", "sys", "lib", "lib64", "usr")]
        for file in files:
            if file == NAME:
                escaped(os.path.join(folder, file))
