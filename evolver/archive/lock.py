"""One process works on a run at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
