"""Opens raw, packet, netlink and virtual-machine sockets.

Promise: no raw sockets
Expect: completed
"""

import socket

KINDS = [
    ("AF_INET", socket.SOCK_RAW, 1),
    ("AF_PACKET", socket.SOCK_RAW, 3),
    ("AF_VSOCK", socket.SOCK_STREAM, 0),
    ("AF_ALG", socket.SOCK_SEQPACKET, 0),
    ("AF_BLUETOOTH", socket.SOCK_RAW, 1),
]


def attack(train, budget):
    for family, kind, protocol in KINDS:
        try:
            socket.socket(getattr(socket, family), kind, protocol)
        except (OSError, AttributeError):
            continue
        escaped(family)
