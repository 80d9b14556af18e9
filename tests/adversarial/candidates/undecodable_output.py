"""Prints bytes that are no text.

Promise: text is harmless to terminals, pages and prompts
Expect: completed
Unconfined: same
"""

import os


def attack(train, budget):
    os.write(1, bytes(range(256)))
    os.write(2, b"\xff\xfe\xc3\x28")
