"""Raises its own limits and its priority.

Promise: limits hold
Expect: completed
"""

import os
import resource


def attack(train, budget):
    for name in ("RLIMIT_FSIZE", "RLIMIT_NOFILE", "RLIMIT_DATA", "RLIMIT_NPROC", "RLIMIT_CORE"):
        kind = getattr(resource, name)
        try:
            resource.setrlimit(kind, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            escaped(name)
        except (ValueError, OSError):
            pass
    try:
        os.setpriority(os.PRIO_PROCESS, 0, -20)
        escaped("priority")
    except OSError:
        pass
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
        escaped("real-time scheduling")
    except OSError:
        pass
