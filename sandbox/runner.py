"""Runs one candidate, inside the sandbox. Started by evolver.execute, never by hand.

Trusts nobody with anything: it holds no label, and the parent checks all that it sends. It shares
its process with the candidate, so it protects the candidate from accidents, not the parent from
the candidate; the walls around this process do that.
"""

from __future__ import annotations

import fcntl
import io
import json
import os
import sys
import traceback
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
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True, errors="backslashreplace")
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

    try:
        session(Wire(inward, outward), settings)
    except BaseException:  # noqa: BLE001 - whatever it is, this process ends here
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)  # threads of the candidate must not keep a broken worker alive


if __name__ == "__main__":
    main()
