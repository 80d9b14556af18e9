"""Connects to a unix socket of the host by its path.

Promise: no network
Expect: completed
Unconfined: escapes
"""

import socket


def attack(train, budget):
    try:
        link = socket.socket(socket.AF_UNIX)
        link.connect("@UNIX@")
        escaped("unix")
    except OSError:
        pass
