"""Connects to a server on the host.

Promise: no network
Expect: completed
Unconfined: escapes
"""

import socket


def attack(train, budget):
    for host in ("127.0.0.1", "localhost", "0.0.0.0", "10.0.2.2", "172.17.0.1"):
        try:
            with socket.create_connection((host, int("@TCP@")), timeout=0.3) as link:
                link.sendall(b"labels?")
                escaped(host)
        except OSError:
            pass
