"""Connects to an abstract unix socket, which no file system hides.

Promise: no network
Expect: completed
Unconfined: escapes
"""

import socket


def attack(train, budget):
    try:
        link = socket.socket(socket.AF_UNIX)
        link.connect("\0@ABSTRACT@")
        escaped("abstract")
    except OSError:
        pass
