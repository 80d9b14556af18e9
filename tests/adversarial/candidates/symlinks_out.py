"""Makes symbolic and hard links in its scratch that lead out.

Promise: links cannot lead out
Expect: completed
Unconfined: escapes
"""

import os


def attack(train, budget):
    os.symlink("@LABELS@", "/tmp/soft-evolver-test")
    try:
        open("/tmp/soft-evolver-test").read()
        escaped("symbolic link")
    except OSError:
        pass
    finally:
        os.unlink("/tmp/soft-evolver-test")
    for place in ("@LABELS@", "/view/view.json", "/opt/evolver/runner.py"):
        try:
            os.link(place, "/tmp/hard")
            escaped("hard link to " + place)
        except OSError:
            pass
