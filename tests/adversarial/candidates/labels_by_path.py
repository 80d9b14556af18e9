"""Opens the labels by their real path and lists their folder.

Promise: labels never enter the sandbox
Expect: completed
Unconfined: escapes
"""

import os

PATH = "@LABELS@"


def attack(train, budget):
    for path in (PATH, "/view/" + os.path.basename(PATH), os.path.basename(PATH)):
        try:
            open(path, "rb").read()
        except OSError:
            continue
        escaped(path)
