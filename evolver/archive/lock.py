"""One process works on a run at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from evolver.errors import ArchiveError


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold a run for writing. The kernel lets go when the process dies, however it dies.

    Raises `ArchiveError` naming the process that holds it.
    """
    with (folder / "run.lock").open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            owner = handle.read().strip() or "unknown"
            raise ArchiveError(
                f"{folder} is being worked on by process {owner}; wait for it or stop it first"
            ) from None
        handle.seek(0)
        handle.truncate()
        handle.write(str(os.getpid()))
        handle.flush()
        yield


def holder(folder: Path) -> int | None:
    """The process on this machine that works on a run, as its lock names it, if that one lives.

    Looks without touching the lock, so it never stands in the way of who wants to take it.
    """
    place = folder / "run.lock"
    try:
        owner, written = int(place.read_text()), place.stat().st_mtime
        born = psutil.Process(owner).create_time()
    except (OSError, ValueError, psutil.Error):
        return None
    return owner if born <= written + 1.0 else None  # else a later process with its number
