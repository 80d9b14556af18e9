"""Looks for whom it will be asked for, to learn from their later history.

Promise: fit sees training rows only
Expect: completed
"""

import os


def attack(train, budget):
    for name in os.listdir("/view"):
        if name.startswith("query"):
            escaped(name)
