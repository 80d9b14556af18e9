"""Everything ever tried in one run, in one database. The only part that writes.

A candidate is recorded before it runs and its evaluation when it is done, each in one transaction:
`kill -9` loses at most what was in flight, and what is in the archive is never paid for again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, case, create_engine, event, func, insert, select, update
from sqlalchemy.exc import DatabaseError, OperationalError

from evolver.archive import findings as found
from evolver.archive import schema
from evolver.archive.findings import OBSERVABLES, Finding, Findings
from evolver.archive.migrate import migrate
from evolver.archive.reviews import Reviews
from evolver.core import (
    Candidate,
    Completed,
    Entry,
    Evaluation,
    Exchange,
    Execution,
    Failed,
    Fidelity,
    Limits,
    PartName,
    Progress,
    Scored,
    Stopped,
)
from evolver.errors import ArchiveError

_COSTS = (
    "fit_seconds",
    "score_seconds",
    "latency_ms_p50",
    "latency_ms_p99",
    "parameters",
    "peak_bytes",
    "unserved",
)
STOPPED = "stopped"
"""The kind of an evaluation that is a `Stopped`."""
_COLUMNS = frozenset(column.name for column in schema.candidates.columns)


class Added(StrEnum):
    """What an evaluation meant to the archive."""

    NEW = "new"
    """Scored, but no better than the best so far."""
    IMPROVED = "improved"
    """The best so far on the run's metric."""
    REJECTED = "rejected"
    """Failed, or stopped: it has no score."""
    PASSED = "passed"
    """Sound at a lower fidelity, and sent on: it has no score yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What one model was asked. failed: requests without a reply; usd: of those with a known price,
    None where there is none; unpriced: replies without one."""

    model: str
    requests: int
    failed: int
    tokens_in: int
    tokens_out: int
    usd: float | None
    unpriced: int
    seconds: float


class Archive:
    """One run's memory. Safe to use from threads. Open it with `create` or `open`."""

    def __init__(self, engine: Engine, metric: str) -> None:
        self._engine = engine
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self.metric = metric
        self._candidates: dict[int, Candidate] = {}
        self._ids: dict[int, str] = {}
        self._entries: dict[int, Entry] = {}
        self._settled = 0
        self._spent: dict[int, float] = {}
        self._low: dict[int, float] = {}
        self._read = 0
        self.refresh()

    # --- opening --------------------------------------------------------------------------------

    @classmethod
    def create(cls, url: str, facts: Mapping[str, Any], metric: str) -> Archive:
        """A new archive. `facts` is what is needed to repeat the run. Refuses to overwrite."""
        engine = _engine(url)
        with engine.begin() as db:
            schema.metadata.create_all(db)
            if db.execute(select(schema.meta)).first():
                raise ArchiveError(f"{url} already holds a run; resume it or choose another folder")
            rows = {"schema": schema.VERSION, "metric": metric, "facts": dict(facts)}
            db.execute(insert(schema.meta), [{"key": k, "value": v} for k, v in rows.items()])
        return cls(engine, metric)

    @classmethod
    def open(cls, url: str) -> Archive:
        """An existing archive; an earlier version is brought up to this one's first. Raises
        `ArchiveError` if none is there or its version is not known."""
        path = url.removeprefix("sqlite:///")
        if path != url and not Path(path).is_file():
            raise ArchiveError(f"no archive at {path}; is this the folder of a run?")
        engine = _engine(url)
        try:
            with engine.connect() as db:
                rows = db.execute(select(schema.meta.c.key, schema.meta.c.value))
                found = {row.key: row.value for row in rows}
        except (DatabaseError, OperationalError) as error:
            raise ArchiveError(f"{url} is not an evolver archive: {error.orig}") from error
        if found.get("schema") != schema.VERSION:
            with engine.begin() as db:
                migrate(db, found.get("schema"), url)
        return cls(engine, found["metric"])

    def refresh(self) -> None:
        """Take in what was recorded since, by other processes too."""
        table, ran = schema.evaluations, schema.executions
        took = func.coalesce(ran.c.seconds, 0.0).label("took")
        wanted = select(table, took).outerjoin(ran, ran.c.id == table.c.execution)
        program = schema.candidates
        with self._lock, self._engine.connect() as db:
            wanted = wanted.where(table.c.part == "search", table.c.id > self._read)
            # Evaluations first: the candidate of each was recorded before it.
            evaluations = db.execute(wanted.order_by(table.c.id)).mappings().all()
            numbers = range(len(self._candidates) + 1)
            whole = next(n for n in numbers if n not in self._candidates)
            for row in db.execute(select(program).where(program.c.number >= whole)).mappings():
                if row["number"] not in self._candidates:
                    self._candidates[row["number"]] = _candidate(row)
                    self._ids[row["number"]] = row["id"]
            for row in evaluations:
                self._take(row["number"], _evaluation(row), row["fidelity"], row["took"])
                self._read = row["id"]

    def _take(
        self, number: int, evaluation: Evaluation, fidelity: Fidelity, seconds: float
    ) -> None:
        """Note an evaluation on the search part. Measuring again adds a row; the first one that
        settles a candidate counts, with the time of the rungs before it."""
        if number in self._entries:
            return
        spent = self._spent[number] = self._spent.get(number, 0.0) + seconds
        scored = evaluation.scored if isinstance(evaluation, Stopped) else evaluation
        if fidelity == "low" and isinstance(scored, Scored):
            self._low.setdefault(number, scored.metrics[self.metric])
        if settles(evaluation, fidelity):
            self._entries[number] = Entry(
                number=number,
                candidate=self._candidates[number],
                evaluation=_without_users(evaluation),
                seconds=spent,
            )

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    # --- facts ----------------------------------------------------------------------------------

    @property
    def facts(self) -> dict[str, Any]:
        """What `create` was given."""
        with self._engine.connect() as db:
            found = db.execute(select(schema.meta.c.value).where(schema.meta.c.key == "facts"))
            return cast(dict[str, Any], found.scalar_one())

    # --- candidates and evaluations -------------------------------------------------------------

    def candidate(self, number: int) -> Candidate | None:
        """The candidate proposed under this number, if one was."""
        with self._lock:
            return self._candidates.get(number)

    def begin(self, number: int, candidate: Candidate) -> None:
        """Record a proposal before it runs."""
        row = {f.name: getattr(candidate, f.name) for f in fields(candidate)}
        extra = {name: row.pop(name) for name in list(row) if name not in _COLUMNS}
        row |= {
            "number": number,
            "id": candidate.id,
            "values": dict(candidate.values),
            "parents": list(candidate.parents),
            "point": None if candidate.point is None else dict(candidate.point),
            "extra": extra,
            "created": time.time(),
        }
        with self._lock:
            if number in self._candidates:
                raise ArchiveError(f"candidate {number} is already recorded")
            with self._engine.begin() as db:
                db.execute(insert(schema.candidates).values(**row))
            self._candidates[number] = candidate
            self._ids[number] = row["id"]

    def add(
        self,
        number: int,
        evaluation: Evaluation,
        *,
        execution: Execution | None,
        part: PartName,
        seed: int,
        limits: Limits,
        evaluator: str,
        same_as: int | None = None,
        findings: Sequence[Finding] = (),
        fidelity: Fidelity = "full",
    ) -> Added:
        """Record what we concluded, with what the sandbox saw, and what else was found, all or
        nothing. Measuring again adds a row."""
        if execution is not None and isinstance(execution.outcome, Completed):
            said = execution.outcome.observed
            if said and fidelity == "full":
                findings = (
                    *findings,
                    Finding(number=number, about=OBSERVABLES, part=part, seed=seed, data=said),
                )
        if findings:
            self.findings.prepare()
        with self._changed:
            best = self.best()
            with self._engine.begin() as db:
                ran = None
                if execution is not None:
                    about = {"number": number, "part": part, "fidelity": fidelity, "seed": seed}
                    ran = _add_execution(db, execution, limits, about)
                row = _evaluation_row(evaluation)
                row |= {"number": number, "execution": ran, "same_as": same_as, "part": part}
                row |= {"fidelity": fidelity, "seed": seed, "evaluator": evaluator}
                row |= {"created": time.time()}
                new = db.execute(insert(schema.evaluations).values(**row)).inserted_primary_key
                whole = fidelity == "full" and same_as is None
                if isinstance(evaluation, Scored) and evaluation.per_user and whole:
                    db.execute(
                        insert(schema.per_user),
                        [
                            {
                                "evaluation": new[0] if new else None,
                                "metric": metric,
                                "values": np.ascontiguousarray(values, np.float32).tobytes(),
                            }
                            for metric, values in evaluation.per_user.items()
                        ],
                    )
                for finding in findings:
                    found.write(db, finding)
            if part == "search":
                seconds = execution.seconds if execution else 0.0
                self._take(number, evaluation, fidelity, seconds)
            self._changed.notify_all()
        if not settles(evaluation, fidelity):
            return Added.PASSED
        if not isinstance(evaluation, Scored):
            return Added.REJECTED
        if best is None or self._score(evaluation) > self._score(best.evaluation):
            return Added.IMPROVED
        return Added.NEW

    def earlier(
        self,
        candidate: Candidate,
        part: PartName,
        seed: int,
        evaluator: str,
        fidelity: Fidelity = "full",
    ) -> tuple[int, Evaluation] | None:
        """A recorded evaluation of the same program on the same part with the same seed.

        Returns its row and the evaluation. Timeouts are not reused: they may have been the
        machine's fault. What was stopped while it trained was never judged.
        """
        table, program = schema.evaluations, schema.candidates
        useless = ["timeout", STOPPED] if fidelity == "full" else ["timeout"]
        wanted = (
            select(table)
            .join(program, program.c.number == table.c.number)
            .where(program.c.id == candidate.id, table.c.part == part, table.c.seed == seed)
            .where(table.c.evaluator == evaluator, table.c.same_as.is_(None))
            .where(table.c.fidelity == fidelity)
            .where(func.coalesce(table.c.kind, "").not_in(useless))
            .order_by(table.c.id)
        )
        with self._engine.connect() as db:
            row = db.execute(wanted).mappings().first()
        return None if row is None else (row["id"], _evaluation(row))

    def low_scores(self, through: int) -> list[float]:
        """The run's metric at low fidelity of the candidates up to a number, in their order."""
        with self._lock:
            return [value for number, value in sorted(self._low.items()) if number <= through]

    def curves(self, source: str, through: int) -> list[list[Progress]]:
        """What the scored candidates with this source reported while they trained at full
        fidelity, one list each, up to a number, in their order."""
        table, program = schema.executions, schema.candidates
        wanted = (
            select(table.c.number, table.c.progress)
            .join(program, program.c.number == table.c.number)
            .where(program.c.source == source, table.c.number <= through)
            .where(table.c.part == "search", table.c.fidelity == "full")
            .order_by(table.c.id)
        )
        found: dict[int, list[Progress]] = {}
        with self._engine.connect() as db:
            for row in db.execute(wanted):
                entry = self.entry(row.number)
                if entry is not None and isinstance(entry.evaluation, Scored):
                    found.setdefault(row.number, [Progress(**each) for each in row.progress])
        return [found[number] for number in sorted(found)]

    def evaluations(self, number: int, part: PartName) -> dict[int, Evaluation]:
        """By seed: the latest evaluation of a candidate on a whole part, with per-user values."""
        table = schema.evaluations
        wanted = select(table).where(table.c.number == number, table.c.part == part)
        wanted = wanted.where(table.c.fidelity == "full")
        found: dict[int, Evaluation] = {}
        with self._engine.connect() as db:
            for row in db.execute(wanted.order_by(table.c.id)).mappings().all():
                users = _per_user(db, row["same_as"] or row["id"])
                found[row["seed"]] = _evaluation(row, users)
        return found

    def settled_through(self, number: int) -> bool:
        """Whether every candidate up to and including `number` has its evaluation."""
        with self._lock:
            while self._settled in self._entries:
                self._settled += 1
            return number < self._settled

    def wait(self, seconds: float) -> None:
        """Sleep until something is added, `seconds` at most."""
        with self._changed:
            self._changed.wait(seconds)

    def wake(self) -> None:
        """End every `wait` at once."""
        with self._changed:
            self._changed.notify_all()

    def history(self, through: int | None = None) -> list[Entry]:
        """The entries up to a number, in order."""
        with self._lock:
            last = max(self._entries, default=-1) if through is None else through
            return [self._entries[n] for n in range(last + 1) if n in self._entries]

    def proposed(self) -> dict[int, Candidate]:
        """Every candidate by its number, judged or not."""
        with self._lock:
            return dict(self._candidates)

    def pending(self) -> dict[int, Candidate]:
        """By number: what is recorded and not settled; in flight, or left by a killed process."""
        with self._lock:
            left = self._candidates.keys() - self._entries.keys()
            return {number: self._candidates[number] for number in sorted(left)}

    def ids(self) -> dict[int, str]:
        """By number: the id of every candidate, as it was recorded."""
        with self._lock:
            return dict(self._ids)

    def count(self) -> int:
        """How many candidates are settled."""
        with self._lock:
            return len(self._entries)

    def entry(self, number: int) -> Entry | None:
        with self._lock:
            return self._entries.get(number)

    def best(self, entries: Iterable[Entry] | None = None) -> Entry | None:
        """The highest on the run's metric; the earliest of equals."""
        pool = self._entries.values() if entries is None else entries
        scored = [e for e in pool if isinstance(e.evaluation, Scored)]
        return max(scored, key=lambda e: (self._score(e.evaluation), -e.number), default=None)

    def _score(self, evaluation: Evaluation) -> float:
        return evaluation.metrics[self.metric] if isinstance(evaluation, Scored) else -np.inf

    def per_user(self, number: int, part: PartName, seed: int) -> Mapping[str, NDArray[np.float32]]:
        """Per-user values of one evaluation, in the order of the part's users."""
        found = self.evaluations(number, part).get(seed)
        if not isinstance(found, Scored):
            raise ArchiveError(f"candidate {number} has no score on the {part} part")
        return found.per_user

    def output(self, number: int, part: PartName = "search") -> tuple[str, str]:
        """Captured stdout and stderr of the latest execution on a part."""
        table = schema.executions
        wanted = select(table.c.stdout, table.c.stderr).where(
            table.c.number == number, table.c.part == part
        )
        with self._engine.connect() as db:
            row = db.execute(wanted.order_by(table.c.id.desc())).first()
        return (row.stdout, row.stderr) if row else ("", "")

    # --- exchanges with models ------------------------------------------------------------------

    def recall(self, request_hash: str) -> Exchange | None:
        """The recorded successful exchange with this request, if any."""
        table = schema.exchanges
        wanted = select(table).where(
            table.c.request_hash == request_hash, table.c.reply.is_not(None)
        )
        with self._engine.connect() as db:
            row = db.execute(wanted.order_by(table.c.id)).mappings().first()
        return None if row is None else _exchange(row)

    def record(self, exchange: Exchange) -> None:
        """Write one exchange; durable on return."""
        with self._lock, self._engine.begin() as db:
            db.execute(insert(schema.exchanges).values(**asdict(exchange), created=time.time()))

    def exchanges(self, number: int | None = None) -> list[Exchange]:
        """The exchanges about one candidate, or all, in the order in which they were recorded."""
        wanted = select(schema.exchanges).order_by(schema.exchanges.c.id)
        if number is not None:
            wanted = wanted.where(schema.exchanges.c.number == number)
        with self._engine.connect() as db:
            return [_exchange(row) for row in db.execute(wanted).mappings()]

    def spent(self) -> tuple[float, int, int]:
        """Dollars, tokens, and how many calls had no known price."""
        table = schema.exchanges
        tokens = func.coalesce(func.sum(table.c.tokens_in + table.c.tokens_out), 0)
        with self._engine.connect() as db:
            usd, used = db.execute(select(func.coalesce(func.sum(table.c.usd), 0.0), tokens)).one()
            unpriced = db.execute(
                select(func.count()).where(table.c.usd.is_(None), table.c.reply.is_not(None))
            ).scalar_one()
        return float(usd), int(used), int(unpriced)

    def bills(self) -> list[Bill]:
        """What each model was asked and what that cost, by name."""
        table = schema.exchanges
        lacks = case((table.c.usd.is_(None) & table.c.reply.is_not(None), 1), else_=0)
        sums = (
            func.count().label("requests"),
            func.count(table.c.error).label("failed"),
            func.sum(table.c.tokens_in).label("tokens_in"),
            func.sum(table.c.tokens_out).label("tokens_out"),
            func.sum(table.c.usd).label("usd"),
            func.sum(lacks).label("unpriced"),
            func.sum(table.c.seconds).label("seconds"),
        )
        wanted = select(table.c.model, *sums).group_by(table.c.model).order_by(table.c.model)
        with self._engine.connect() as db:
            return [Bill(**row) for row in db.execute(wanted).mappings()]

    # --- sealed parts ---------------------------------------------------------------------------

    def read_part(
        self, part: PartName, numbers: Sequence[int], *, who: str, why: str, forced: bool
    ) -> None:
        """Record that a held-out part is about to be read. Written before anything is read."""
        row = {"part": part, "numbers": list(numbers), "who": who, "why": why, "forced": forced}
        with self._lock, self._engine.begin() as db:
            db.execute(insert(schema.readings).values(**row, created=time.time()))

    def readings(self, part: PartName) -> list[dict[str, Any]]:
        """Who read a part, when and why, oldest first."""
        table = schema.readings
        with self._engine.connect() as db:
            rows = db.execute(select(table).where(table.c.part == part).order_by(table.c.id))
            return [dict(row) for row in rows.mappings()]

    def add_verdict(
        self, number: int, against: int, verdict: str, paragraph: str, evidence: Mapping[str, Any]
    ) -> None:
        """Record a promotion verdict with its evidence."""
        row = {"number": number, "against": against, "verdict": verdict, "paragraph": paragraph}
        with self._lock, self._engine.begin() as db:
            db.execute(
                insert(schema.verdicts).values(**row, evidence=dict(evidence), created=time.time())
            )

    def verdicts(self) -> list[dict[str, Any]]:
        """Every promotion verdict, oldest first."""
        with self._engine.connect() as db:
            rows = db.execute(select(schema.verdicts).order_by(schema.verdicts.c.id)).mappings()
            return [dict(row) for row in rows]

    # --- reviews --------------------------------------------------------------------------------

    @property
    def reviews(self) -> Reviews:
        """What people said of candidates."""
        return Reviews(self._engine)

    @property
    def findings(self) -> Findings:
        """What was seen of candidates beside their metrics."""
        return Findings(self._engine)

    # --- sessions -------------------------------------------------------------------------------

    def open_session(self, budget: Mapping[str, Any]) -> int:
        """Start the clock of one sitting within a budget; returns its row."""
        row = {"started": time.time(), "seconds": 0.0, "budget": dict(budget)}
        with self._lock, self._engine.begin() as db:
            key = db.execute(insert(schema.sessions).values(**row)).inserted_primary_key
        return int(key[0]) if key else 0

    def budget(self) -> dict[str, Any] | None:
        """The budget of the latest sitting; None before the first."""
        table = schema.sessions
        with self._engine.connect() as db:
            found = db.execute(select(table.c.budget).order_by(table.c.id.desc()).limit(1))
            return cast("dict[str, Any] | None", found.scalar_one_or_none())

    def budgets(self) -> list[dict[str, Any]]:
        """The budgets of all sittings, in their order."""
        table = schema.sessions
        with self._engine.connect() as db:
            return list(db.execute(select(table.c.budget).order_by(table.c.id)).scalars())

    def ended(self) -> str | None:
        """Why the latest sitting ended; None while it lasts, and where it was killed."""
        table = schema.sessions
        with self._engine.connect() as db:
            found = db.execute(select(table.c.ended).order_by(table.c.id.desc()).limit(1))
            return cast("str | None", found.scalar_one_or_none())

    def tick(self, session: int, seconds: float, ended: str | None = None) -> None:
        """Note how long a sitting has lasted, so that a killed one still counts."""
        with self._lock, self._engine.begin() as db:
            db.execute(
                update(schema.sessions)
                .where(schema.sessions.c.id == session)
                .values(seconds=seconds, ended=ended)
            )

    def seconds_used(self, but: int | None = None) -> float:
        """Wall-clock of all sittings, without the given one."""
        table = schema.sessions
        wanted = select(func.coalesce(func.sum(table.c.seconds), 0.0))
        if but is not None:
            wanted = wanted.where(table.c.id != but)
        with self._engine.connect() as db:
            return float(db.execute(wanted).scalar_one())


def _engine(url: str) -> Engine:
    engine = create_engine(url, connect_args={"timeout": 60} if url.startswith("sqlite") else {})
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def _settings(connection: Any, _: Any) -> None:
            cursor = connection.cursor()
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA foreign_keys=ON")
            cursor.close()

    return engine


def settles(evaluation: Evaluation, fidelity: Fidelity) -> bool:
    """Whether a candidate needs no further rung. What was too slow for a cheap one may still do
    within the whole time."""
    if fidelity == "full":
        return True
    if isinstance(evaluation, Failed):
        return evaluation.kind != "timeout"
    return isinstance(evaluation, Stopped)


def _add_execution(
    db: Connection, execution: Execution, limits: Limits, about: Mapping[str, Any]
) -> int:
    outcome = execution.outcome
    progress = [] if isinstance(outcome, Failed) else [asdict(p) for p in outcome.progress]
    row = {
        **about,
        "sandbox": execution.sandbox,
        "limits": asdict(limits),
        "seconds": execution.seconds,
        "progress": progress,
        "stdout": execution.stdout,
        "stderr": execution.stderr,
        "created": time.time(),
    }
    key = db.execute(insert(schema.executions).values(**row)).inserted_primary_key
    return int(key[0]) if key else 0


def _evaluation_row(evaluation: Evaluation) -> dict[str, Any]:
    if isinstance(evaluation, Failed):
        return {"kind": evaluation.kind, "reason": evaluation.reason}
    if isinstance(evaluation, Stopped):
        scored = {} if evaluation.scored is None else _evaluation_row(evaluation.scored)
        return {**scored, "kind": STOPPED, "reason": evaluation.reason}
    costs = {name: getattr(evaluation, name) for name in _COSTS}
    return {"metrics": {k: float(v) for k, v in evaluation.metrics.items()}, "costs": costs}


def _evaluation(row: Any, users: Mapping[str, NDArray[np.float32]] | None = None) -> Evaluation:
    if row["kind"] not in (None, STOPPED):
        return Failed(kind=row["kind"], reason=row["reason"])
    scored = None
    if row["metrics"] is not None:
        scored = Scored(metrics=row["metrics"], per_user=users or {}, **row["costs"])
    if row["kind"] == STOPPED:
        return Stopped(fidelity=row["fidelity"], reason=row["reason"], scored=scored)
    if scored is None:
        raise ArchiveError(f"evaluation {row['id']} holds neither a score nor a failure")
    return scored


def _per_user(db: Connection, evaluation: int) -> dict[str, NDArray[np.float32]]:
    table = schema.per_user
    rows = db.execute(
        select(table.c.metric, table.c["values"]).where(table.c.evaluation == evaluation)
    )
    return {metric: np.frombuffer(blob, dtype=np.float32) for metric, blob in rows}


def _without_users(evaluation: Evaluation) -> Evaluation:
    if isinstance(evaluation, Stopped) and evaluation.scored is not None:
        return replace(evaluation, scored=replace(evaluation.scored, per_user={}))
    if not isinstance(evaluation, Scored):
        return evaluation
    return replace(evaluation, per_user={})


def _candidate(row: Any) -> Candidate:
    kept = {f.name: row[f.name] for f in fields(Candidate) if f.name in row}
    return Candidate.of(kept | row["extra"])


def _exchange(row: Any) -> Exchange:
    return Exchange(**{f.name: row[f.name] for f in fields(Exchange)})
