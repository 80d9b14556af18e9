"""Writes into a folder of the host that everybody may write to.

Promise: nothing of the host can be written
Expect: completed
Unconfined: escapes
"""


def attack(train, budget):
    try:
        open("@CANARY@/evil", "w").write("x")
        escaped("written")
    except OSError:
        pass
