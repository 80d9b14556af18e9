"""Reads the memory of its parent through /proc and process_vm_readv.

Promise: the parent's memory is out of reach
Expect: completed
"""

import ctypes
import os


def attack(train, budget):
    libc = ctypes.CDLL(None, use_errno=True)
    others = {int(pid) for pid in os.listdir("/proc") if pid.isdigit()} | {
        os.getppid(),
        int("@PARENT@"),
    }
    others -= {os.getpid(), 1}  # the first process is part of the walls and holds no secret
    for pid in sorted(others):
        try:
            with open(f"/proc/{pid}/mem", "rb") as memory, open(f"/proc/{pid}/maps") as maps:
                for line in maps:
                    start = int(line.split("-")[0], 16)
                    memory.seek(start)
                    if memory.read(16):
                        escaped(f"/proc/{pid}/mem")
                        break
        except (OSError, ValueError, OverflowError):
            pass
        buffer = ctypes.create_string_buffer(16)

        class Vector(ctypes.Structure):
            _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]

        here = Vector(ctypes.addressof(buffer), 16)
        there = Vector(0x400000, 16)
        if libc.process_vm_readv(pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0) > 0:
            escaped(f"process_vm_readv {pid}")
        elif ctypes.get_errno() != 1:
            escaped(f"process_vm_readv is not refused: {os.strerror(ctypes.get_errno())}")
