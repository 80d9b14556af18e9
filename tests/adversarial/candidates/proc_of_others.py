"""Reads memory, environment and command lines of every process it can see.

Promise: no other process of the host is visible
Expect: completed
Unconfined: escapes
"""

import os

TOKEN = b"@TOKEN_A@" + b"@TOKEN_B@"


def attack(train, budget):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        for name in ("environ", "cmdline"):
            try:
                text = open(f"/proc/{pid}/{name}", "rb").read()
            except OSError:
                continue
            if TOKEN in text or b"@RUN@" in text:
                escaped(f"{pid} {name}")
    if len(list(filter(str.isdigit, os.listdir("/proc")))) > 5:
        escaped("processes")
