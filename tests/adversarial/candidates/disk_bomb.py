"""Writes wherever it can.

Promise: nothing of the host can be written
Expect: completed
"""

import os


def attack(train, budget):
    for folder, folders, files in os.walk("/"):
        folders[:] = [f for f in folders if folder != "/" or f not in ("proc", "tmp", "dev", "sys")]
        folders[:] = folders[:6] if folder.count("/") < 5 else []
        try:
            with open(os.path.join(folder, "evil"), "wb") as file:
                file.write(b"x" * (1 << 20))
        except OSError:
            continue
        escaped(folder)
        break
    for place in (
        "/evil",
        "/dev/evil",
        "/opt/evil",
        "/opt/evolver/evil",
        "/view/evil",
        "@CANARY@/evil",
    ):
        try:
            open(place, "wb").write(b"x")
        except OSError:
            continue
        escaped(place)
