"""Makes files without content and without end.

Promise: scratch is bounded in files too
Expect: completed or memory or timeout
Seconds: 3
"""


def attack(train, budget):
    number = 0
    try:
        while True:
            open(f"/tmp/{number}", "w").close()
            number += 1
    except OSError:
        pass
