"""What a list of runs shows of each: a few figures, read without loading what was tried."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import create_engine, func, select
from sqlalchemy.exc import DatabaseError

from evolver.archive import schema
from evolver.archive.store import STOPPED, Archive
from evolver.errors import ArchiveError


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """One run. planned: candidates that its budget allows; proposed, scored, failed: candidates;
    best: the highest score on the search part; ended: why its latest sitting did, if it did."""

    metric: str
    dataset: str
    planned: int
    proposed: int
    scored: int
    failed: int
    best: float | None
    ended: str | None


def glance(path: Path) -> Glance:
    """Read an archive's file; one of an earlier version is brought up to date first. Raises
    `ArchiveError` where it is none."""
    url = f"sqlite:///{path.resolve()}"
    engine = create_engine(url)
    try:
        with engine.connect() as db:
            known = dict(db.execute(select(schema.meta.c.key, schema.meta.c.value)).all())
        if known.get("schema") != schema.VERSION:
            Archive.open(url).close()
        metric, facts = str(known["metric"]), known["facts"]
        table, sittings = schema.evaluations, schema.sessions
        # As in `settles`: what counts of a candidate is the first row that needs no further rung.
        settled = (table.c.fidelity == "full") | (table.c.kind != "timeout")
        first = select(func.min(table.c.id)).where(table.c.part == "search", settled)
        first = first.group_by(table.c.number)
        figures = (func.count(), func.max(table.c.metrics[metric].as_float()))
        by_kind = select(table.c.kind, *figures).where(table.c.id.in_(first))
        with engine.connect() as db:
            proposed = db.execute(select(func.count()).select_from(schema.candidates)).scalar_one()
            kinds = {row[0]: row[1:] for row in db.execute(by_kind.group_by(table.c.kind))}
            latest = select(sittings.c.budget, sittings.c.ended).order_by(sittings.c.id.desc())
            sitting = db.execute(latest).first()
    except (DatabaseError, KeyError) as error:
        raise ArchiveError(f"{path} is not an evolver archive: {error}") from error
    finally:
        engine.dispose()
    budget = facts["config"]["budget"] if sitting is None else sitting.budget
    scored, best = kinds.pop(None, (0, None))
    kinds.pop(STOPPED, None)
    return Glance(
        metric=metric,
        dataset=str(facts["dataset"]["name"]),
        planned=int(budget["candidates"]),
        proposed=proposed,
        scored=scored,
        failed=sum(count for count, _ in kinds.values()),
        best=best,
        ended=None if sitting is None else sitting.ended,
    )
