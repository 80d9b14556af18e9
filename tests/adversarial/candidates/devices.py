"""Opens devices of the host.

Promise: no device but the harmless ones
Expect: completed
"""

import os

HARMLESS = {"null", "zero", "full", "random", "urandom", "tty", "console", "ptmx"}


def attack(train, budget):
    for folder, folders, files in os.walk("/dev"):
        for file in files:
            if file not in HARMLESS and folder != "/dev/fd":
                try:
                    os.close(os.open(os.path.join(folder, file), os.O_RDONLY | os.O_NONBLOCK))
                except OSError:
                    continue
                if file.startswith("nvidia") or os.path.islink(os.path.join(folder, file)):
                    continue
                escaped(os.path.join(folder, file))
    try:
        os.mknod("/tmp/disk", 0o60666, os.makedev(8, 0))
        os.open("/tmp/disk", os.O_RDONLY)
        escaped("mknod")
    except OSError:
        pass
