"""What a run has found so far, as values: for the terminal, for `--json`, for reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from evolver.archive.select import places
from evolver.core import Entry, Failed, Scored, Stopped
from evolver.floor import Floor, floor_of
from evolver.metrics.statistics import Comparison, paired_bootstrap
from evolver.propose.baselines import is_baseline
from evolver.run import Run
from evolver.standing import Standing, standing_of
from evolver.trials import Tuned, tuned

__all__ = ["Summary", "as_json", "compare", "distinct", "finals_json", "is_baseline", "summarise"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Everything is on the search part. `leader` is the best of all entries, `baseline` the best
    tuned baseline, `challenger` the best of what the search proposed; each None while there is
    none. `gain` compares challenger with baseline, paired over users: with the same users that
    chose them, so it flatters; the promotion part is there to confirm it. `trials` says how often
    the best programs of either side were tried.
    """

    metric: str
    users: int
    scored: int
    stopped: int
    failed: Mapping[str, int]
    planned: int
    ranking: tuple[Entry, ...]
    leader: Entry | None
    baseline: Entry | None
    challenger: Entry | None
    gain: Comparison | None
    floor: Floor | None
    standing: Standing
    seconds: float
    usd: float
    tokens: int
    unpriced_calls: int
    trials: tuple[Tuned, ...] = ()

    @property
    def tried(self) -> int:
        """How many candidates are settled."""
        return self.scored + self.stopped + sum(self.failed.values())


def summarise(run: Run) -> Summary:
    """Read the archive. Needs no data."""
    entries = run.archive.history()
    metric = run.metric
    scored = [e for e in entries if isinstance(e.evaluation, Scored)]
    ranking = sorted(scored, key=lambda e: (-(e.score(metric) or 0.0), e.number))
    baseline = run.archive.best(e for e in scored if is_baseline(e))
    challenger = run.archive.best(e for e in scored if not is_baseline(e))
    usd, tokens, unpriced = run.archive.spent()
    return Summary(
        metric=metric,
        users=int(run.facts["profile"]["parts"]["search"]["queries"]),
        scored=len(scored),
        stopped=sum(isinstance(e.evaluation, Stopped) for e in entries),
        failed=Counter(e.evaluation.kind for e in entries if isinstance(e.evaluation, Failed)),
        planned=run.config.budget.candidates,
        ranking=tuple(distinct(ranking)),
        leader=ranking[0] if ranking else None,
        baseline=baseline,
        challenger=challenger,
        gain=compare(run, challenger, baseline) if challenger and baseline else None,
        floor=floor_of(run),
        standing=standing_of(run),
        seconds=run.archive.seconds_used(),
        usd=usd,
        tokens=tokens,
        unpriced_calls=unpriced,
        trials=tuned(entries, metric),
    )


def compare(run: Run, challenger: Entry, baseline: Entry) -> Comparison:
    """The challenger's gain over the baseline on the search part, paired over users."""
    ours = run.archive.per_user(challenger.number, "search", run.seed)[run.metric]
    theirs = run.archive.per_user(baseline.number, "search", run.seed)[run.metric]
    return paired_bootstrap(ours, theirs, seed=run.seed)


def as_json(run: Run, summary: Summary, top: int = 20) -> dict[str, Any]:
    """The summary as plain JSON values."""

    parents = {e.candidate.id: e for e in reversed(run.archive.history())}
    where = places(run.archive.history(), run.config.select, run.metric, run.seed)

    def row(entry: Entry | None) -> dict[str, Any] | None:
        if entry is None:
            return None
        kept: dict[str, Any] = {
            "number": entry.number,
            "id": entry.candidate.id,
            "name": entry.candidate.name,
            "family": entry.candidate.family,
            "proposer": entry.candidate.proposer,
            "baseline": is_baseline(entry),
            "idea": entry.candidate.idea,
            "expect": entry.candidate.expect,
            "review": entry.candidate.review,
            "change": _change(entry, parents, run.metric),
            "values": dict(entry.candidate.values),
            "seconds": entry.seconds,
            "island": where[entry.number].island,
            "cell": str(where[entry.number].cell) if where[entry.number].cell else None,
            "elite": where[entry.number].elite,
            "front": where[entry.number].front,
        }
        if isinstance(entry.evaluation, Scored):
            costs = asdict(entry.evaluation)
            costs.pop("per_user")
            kept |= costs
        return kept

    return {
        "run": str(run.folder),
        "metric": summary.metric,
        "part": "search",
        "users": summary.users,
        "planned": summary.planned,
        "scored": summary.scored,
        "stopped": summary.stopped,
        "failed": dict(summary.failed),
        "leader": row(summary.leader),
        "baseline": row(summary.baseline),
        "challenger": row(summary.challenger),
        "gain": None if summary.gain is None else asdict(summary.gain),
        "floor": None if summary.floor is None else summary.floor.as_data(),
        "finals": finals_json(summary.standing),
        "seconds": summary.seconds,
        "usd": summary.usd,
        "tokens": summary.tokens,
        "unpriced_calls": summary.unpriced_calls,
        "trials": [asdict(row) for row in summary.trials],
        "stopped_candidates": [
            {
                "number": entry.number,
                "id": entry.candidate.id,
                "name": entry.candidate.name,
                "fidelity": entry.evaluation.fidelity,
                "reason": entry.evaluation.reason,
                "partial": None
                if entry.evaluation.scored is None
                else entry.evaluation.scored.metrics[summary.metric],
            }
            for entry in run.archive.history()
            if isinstance(entry.evaluation, Stopped)
        ],
        "leaderboard": [row(entry) for entry in summary.ranking[:top]],
        "readings": {part: run.archive.readings(part) for part in ("promotion", "test")},
        "verdicts": run.archive.verdicts(),
        "canaries": [asdict(alarm) for alarm in run.canaries],
        "accepted_alarms": list(run.config.evaluate.accept_alarms),
    }


def finals_json(standing: Standing) -> dict[str, Any]:
    """Where the promotion stands, as plain JSON values."""
    promotion = standing.promotion
    return {
        "state": standing.state,
        "incumbent": None if standing.incumbent is None else standing.incumbent.number,
        "promoted": None if promotion is None else promotion.number,
        "test_read": standing.test_read,
        "judged": [asdict(each) for each in standing.judged],
        "waiting": [entry.number for entry in standing.waiting],
    }


def _change(entry: Entry, by_id: Mapping[str, Entry], metric: str) -> float | None:
    """What came of it: its score less its first parent's; None where one of them has none."""
    parents = entry.candidate.parents
    before = by_id[parents[0]].score(metric) if parents and parents[0] in by_id else None
    after = entry.score(metric)
    return None if before is None or after is None else after - before


def distinct(ranking: Sequence[Entry]) -> list[Entry]:
    """Without those that repeat an earlier one of them: the same source with the same values."""
    seen: set[str] = set()
    kept = []
    for entry in ranking:
        if entry.candidate.id not in seen:
            seen.add(entry.candidate.id)
            kept.append(entry)
    return kept
