"""Runs one candidate, inside the sandbox. Started by evolver.execute, never by hand.

Trusts nobody with anything: it holds no label, and the parent checks all that it sends. It shares
its process with the candidate, so it protects the candidate from accidents, not the parent from
the candidate; the walls around this process do that.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
from pathlib import Path


def take_protocol(stdout_fd: int | None) -> tuple[int, int]:
    """Move the protocol off descriptors 0 and 1, so that what a candidate prints is only text."""
    inward = fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, 64)
    outward = fcntl.fcntl(1, fcntl.F_DUPFD_CLOEXEC, 64)
    nothing = os.open("/dev/null", os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2 if stdout_fd is None else stdout_fd, 1)
    if stdout_fd is not None:
        os.close(stdout_fd)
    return inward, outward


def main() -> None:
    settings = json.loads(sys.argv[1])
    inward, outward = take_protocol(settings["stdout_fd"])
    sys.path[:0] = [str(Path(__file__).resolve().parent), *settings["paths"]]
    sys.argv[:] = ["candidate.py"]
    if settings["die_with_parent"]:
        from inside.warm import die_with_parent

        die_with_parent()
    from inside.session import session
    from inside.wire import Wire

    session(Wire(inward, outward), settings)


if __name__ == "__main__":
    main()
