"""A copy of an archive as the beginning of another run."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, delete, update

from evolver.archive import schema
from evolver.errors import ArchiveError


def fork(source: Path, target: Path, facts: Mapping[str, Any]) -> None:
    """Copy everything tried and measured from one archive file to a new one with other `facts`.

    What was spent does not travel: the new run's clock and purse start at nothing. Safe while the
    source is in use. Raises ArchiveError where `target` exists.
    """
    if target.exists():
        raise ArchiveError(f"{target} already holds a run")
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)
    engine = create_engine(f"sqlite:///{target.resolve()}")
    try:
        with engine.begin() as db:
            db.execute(delete(schema.sessions))
            db.execute(delete(schema.exchanges))
            db.execute(
                update(schema.meta).where(schema.meta.c.key == "facts").values(value=dict(facts))
            )
    finally:
        engine.dispose()
