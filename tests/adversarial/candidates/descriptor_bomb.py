"""Opens pipes without end and fills them with kernel memory.

Promise: descriptors are bounded
Expect: completed or memory
"""

import os


def attack(train, budget):
    pipes = []
    try:
        while len(pipes) < 100_000:
            pipes.append(os.pipe())
            os.set_blocking(pipes[-1][1], False)
            os.write(pipes[-1][1], b"x" * 65536)
    except OSError:
        pass
    if len(pipes) > 1024:
        escaped(f"{len(pipes)} pipes")
