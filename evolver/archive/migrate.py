"""Brings an archive that an earlier evolver wrote up to this one's tables. Nothing is lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import Connection, text, update

from evolver.archive import schema
from evolver.errors import ArchiveError


def _fidelities(db: Connection) -> None:
    """1 to 2: what was run and judged says at which fidelity; all of it was whole."""
    for table in ("executions", "evaluations"):
        db.execute(
            text(f"ALTER TABLE {table} ADD COLUMN fidelity VARCHAR(16) NOT NULL DEFAULT 'full'")
        )


_STEPS: Mapping[int, Callable[[Connection], None]] = {1: _fidelities}
"""By the version that each starts from."""


def migrate(db: Connection, version: object, where: str) -> None:
    """Take an archive of `version` to the present one. Raises ArchiveError where no way is known.

    Runs within the caller's transaction: killed in between, the archive is as it was.
    """
    at = version if isinstance(version, int) else -1
    while at != schema.VERSION:
        step = _STEPS.get(at)
        if step is None:
            raise ArchiveError(
                f"{where} has archive version {version}, this evolver reads versions "
                f"{min(_STEPS)} to {schema.VERSION}; open it with the evolver that wrote it"
            )
        step(db)
        at += 1
    if at != version:
        db.execute(update(schema.meta).where(schema.meta.c.key == "schema").values(value=at))
