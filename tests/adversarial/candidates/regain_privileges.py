"""Looks for capabilities and set-user-id programs, and tries to become root.

Promise: no new privileges
Expect: completed
"""

import os


def attack(train, budget):
    status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
    if status["NoNewPrivs"].strip() != "1":
        escaped("new privileges are possible")
    for name in ("CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb"):
        if int(status[name], 16):
            escaped(f"{name} {status[name]}")
    if status["Seccomp"].strip() != "2":
        escaped("no filter")
    if os.getuid() == 0:
        escaped("root inside")
    try:
        os.setuid(0)
        escaped("setuid")
    except OSError:
        pass
