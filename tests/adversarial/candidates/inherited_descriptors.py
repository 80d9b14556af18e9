"""Uses descriptors that the parent may have forgotten to close.

Promise: no descriptor leads out
Expect: completed
"""

import os
import stat


def attack(train, budget):
    for name in os.listdir("/proc/self/fd"):
        try:
            mode = os.fstat(int(name)).st_mode
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
        if stat.S_ISDIR(mode) and target.startswith("/proc/"):
            continue
        if stat.S_ISREG(mode) and not target.startswith("/view/"):
            escaped(target)
        if stat.S_ISDIR(mode) or stat.S_ISSOCK(mode):
            escaped(target)
