"""Takes shared anonymous memory, which limits on private memory miss.

Promise: memory is bounded and named
Expect: memory
Unconfined: same
"""

import mmap


def attack(train, budget):
    kept = []
    while True:
        block = mmap.mmap(-1, 32 << 20)
        block.write(b"x" * (32 << 20))
        kept.append(block)
