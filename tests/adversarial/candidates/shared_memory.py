"""Looks for shared memory of the host: /dev/shm and System V.

Promise: shared memory is not shared with the host
Expect: completed
Unconfined: escapes
"""

import ctypes
import os


def attack(train, budget):
    for name in os.listdir("/dev/shm"):
        escaped(name)
    if len(open("/proc/sysvipc/shm").readlines()) > 1:
        escaped("System V segments of others")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.shmget(0x0BADF00D, 4096, 0o1666) >= 0:
        escaped("shmget")
