"""Takes memory without end.

Promise: memory is bounded and named; the machine stays responsive
Expect: memory
Unconfined: same
"""


def attack(train, budget):
    kept = []
    while True:
        kept.append(bytearray(16 << 20))
