"""What was seen of a candidate beside its metrics: canaries, observables, ablations.

A finding is a row that is added and never changed; the latest of its kind counts.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Engine,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    insert,
    inspect,
    select,
)

# A table of its own: an archive that was made before there were findings gets it with the first.
_table = Table(
    "findings",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("number", Integer, nullable=False, index=True),
    Column("about", String(80), nullable=False),
    Column("part", String(16), nullable=False),
    Column("seed", Integer, nullable=False),
    Column("data", JSON, nullable=False),
    Column("values", LargeBinary),
    Column("created", Float, nullable=False),
)
_making = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`about`: "canaries", "observables" or "ablation NAME". `values`: (users,) float32 of the
    run's metric, where users were judged."""

    number: int
    about: str
    part: str
    seed: int
    data: Mapping[str, Any]
    values: NDArray[np.float32] | None = None


OBSERVABLES = "observables"


def ablation(name: str) -> str:
    """What a finding about a candidate without one of its parts is called."""
    return f"ablation {name}"


class Findings:
    """Reads and writes findings in a run's own database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def prepare(self) -> None:
        """Make the table, where it is not there yet. Threads that find at once make it once."""
        with _making:
            _table.create(self._engine, checkfirst=True)

    def add(self, finding: Finding) -> None:
        """Write one; durable on return."""
        self.prepare()
        with self._engine.begin() as db:
            write(db, finding)

    def of(self, number: int) -> list[Finding]:
        """Everything found of one candidate, oldest first."""
        return self._read(_table.c.number == number)

    def ablations(self, number: int, name: str) -> dict[int, Finding]:
        """By seed: what a candidate was without one of its parts."""
        return {f.seed: f for f in self.of(number) if f.about == ablation(name)}

    def ablated(self) -> list[int]:
        """The candidates that were measured without one of their parts, ascending."""
        if not inspect(self._engine).has_table(_table.name):
            return []
        wanted = select(_table.c.number).where(_table.c.about.startswith(ablation("")))
        with self._engine.connect() as db:
            return list(db.execute(wanted.distinct().order_by(_table.c.number)).scalars())

    def about(self, what: str) -> list[Finding]:
        """Everything found about one thing, oldest first."""
        return self._read(_table.c.about == what)

    def _read(self, condition: Any) -> list[Finding]:
        if not inspect(self._engine).has_table(_table.name):
            return []
        wanted = select(_table).where(condition)
        with self._engine.connect() as db:
            rows = db.execute(wanted.order_by(_table.c.id)).mappings().all()
        return [
            Finding(
                number=row["number"],
                about=row["about"],
                part=row["part"],
                seed=row["seed"],
                data=row["data"],
                values=None
                if row["values"] is None
                else np.frombuffer(row["values"], dtype=np.float32),
            )
            for row in rows
        ]


def write(db: Connection, finding: Finding) -> None:
    """Write one within a transaction of the caller's; the table must be there."""
    values = finding.values
    db.execute(
        insert(_table).values(
            number=finding.number,
            about=finding.about,
            part=finding.part,
            seed=finding.seed,
            data=dict(finding.data),
            values=None if values is None else np.ascontiguousarray(values, np.float32).tobytes(),
            created=time.time(),
        )
    )
