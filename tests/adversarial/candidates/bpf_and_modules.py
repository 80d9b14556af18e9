"""Loads code into the kernel.

Promise: no bpf, no modules, no kexec
Expect: completed
"""

import ctypes
import os
import platform

COLUMN = 0 if platform.machine() == "x86_64" else 1
CALLS = {
    "bpf": ((321, 280), (0, 0, 0)),
    "init_module": ((175, 105), (0, 0, 0)),
    "finit_module": ((313, 273), (0, 0, 0)),
    "kexec_load": ((246, 104), (0, 0, 0, 0)),
    "perf_event_open": ((298, 241), (0, 0, -1, -1, 0)),
    "userfaultfd": ((323, 282), (0,)),
    "io_uring_setup": ((425, 425), (1, 0)),
}


def attack(train, budget):
    libc = ctypes.CDLL(None, use_errno=True)
    for name, (numbers, arguments) in CALLS.items():
        result = libc.syscall(
            numbers[COLUMN],
            *(ctypes.c_long(one) if isinstance(one, int) else one for one in arguments),
        )
        if result != -1 or ctypes.get_errno() != 1:
            escaped(f"{name}: {result}, {os.strerror(ctypes.get_errno())}")
