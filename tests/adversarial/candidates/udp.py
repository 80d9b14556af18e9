"""Sends datagrams to the host.

Promise: no network
Expect: completed
"""

import socket


def attack(train, budget):
    try:
        link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        link.sendto(b"labels?", ("127.0.0.1", int("@UDP@")))
    except OSError:
        pass
