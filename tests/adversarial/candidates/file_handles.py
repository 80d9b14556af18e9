"""Opens files of the host by handle, as the shocker exploit did.

Promise: no file of the host beyond the training data
Expect: completed
"""

import ctypes
import os
import struct


def attack(train, budget):
    libc = ctypes.CDLL(None, use_errno=True)
    handle = ctypes.create_string_buffer(struct.pack("<IiQ", 8, 1, 2))
    for place in ("/", "/view/view.json", "/opt/evolver/runner.py"):
        mount = os.open(place, os.O_RDONLY)
        if libc.open_by_handle_at(mount, handle, os.O_RDONLY) >= 0:
            escaped(place)
        elif ctypes.get_errno() != 1:
            escaped(f"not refused: {os.strerror(ctypes.get_errno())}")
