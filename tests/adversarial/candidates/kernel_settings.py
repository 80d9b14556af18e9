"""Writes to settings of the kernel, as a container run by root once could.

Promise: nothing of the machine can be changed
Expect: completed
"""

import os

PLACES = (
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/kernel/hostname",
    "/proc/sys/vm/overcommit_memory",
    "/proc/sysrq-trigger",
    "/proc/sys/kernel/modprobe",
    "/sys/kernel/uevent_helper",
    "/proc/sys/kernel/randomize_va_space",
    "/proc/self/oom_score_adj_evil",
)


def attack(train, budget):
    for place in PLACES:
        try:
            descriptor = os.open(place, os.O_WRONLY)
        except OSError:
            continue
        os.close(descriptor)
        escaped(place)
    for folder, folders, files in os.walk("/sys/fs/cgroup"):
        for file in files:
            if os.access(os.path.join(folder, file), os.W_OK):
                escaped(os.path.join(folder, file))
