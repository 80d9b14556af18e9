"""What the runs of a comparison came to, read from their archives; and what that shows."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

from evolver.comparing.arms import Arm
from evolver.comparing.conduct import read_endings
from evolver.comparing.spec import Spec
from evolver.comparing.stage import PROMOTION
from evolver.core import Entry, Failed, Scored, Stopped
from evolver.metrics.replicates import holm, mean_with_interval, sign_flip_p, smallest_p
from evolver.run import Run, reopen

LEVEL = 0.05
"""The chance of any false claim that is accepted, over all pairs together."""
EVEN = 1e-9
"""Differences up to this are none: the same program scored twice may differ by rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """One arm with one seed, on the search part.

    best: after each candidate of the search, the best so far, the shared baselines included; own:
    the best of what the arm itself proposed, None while nothing scored. seconds: of training and
    scoring after each of them, all workers added up. Both are as long as what was tried.
    """

    label: str
    seed: int
    folder: str
    ended: str
    start: float | None
    best: tuple[float | None, ...]
    own: tuple[float | None, ...]
    seconds: tuple[float, ...]
    proposed: tuple[str, ...]
    """The id of each candidate, in order."""
    failed: Mapping[str, int]
    repeats: int
    """Candidates that were tried before in this run, so that nothing was trained."""
    wall_seconds: float
    model_seconds: float
    requests: int
    tokens: int
    usd: float
    unpriced: int
    winner: str
    winner_number: int
    promotion: float | None = None
    promotion_failed: str = ""
    """Why the winner has no score on the promotion part, where it was judged there and failed."""

    @property
    def final(self) -> float | None:
        """The best that the run ended with; None where nothing at all scored."""
        return self.best[-1] if self.best else self.start

    def within(self, seconds: float) -> float | None:
        """The best when so many seconds of training and scoring were used, or before."""
        done = bisect_right(self.seconds, seconds + EVEN)
        return self.best[done - 1] if done else self.start

    @property
    def own_final(self) -> float | None:
        """The best that the arm itself proposed."""
        return self.own[-1] if self.own else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A mean over seeds with its 95% interval; no interval for one seed."""

    mean: float
    low: float | None
    high: float | None
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One arm against another, paired by seed: `arm` less `other`.

    p: exact, two-sided, under random signs. p_corrected: by Holm, over all pairs of the comparison.
    """

    arm: str
    other: str
    difference: Estimate
    by_seed: tuple[float, ...]
    wins: int
    losses: int
    ties: int
    p: float
    p_corrected: float

    @property
    def shown(self) -> bool:
        """Whether it may be said that one of the two is better."""
        low, high = self.difference.low, self.difference.high
        if low is None or high is None or self.p_corrected > LEVEL:
            return False
        return low > 0 or high < 0

    @property
    def better(self) -> bool:
        return self.difference.mean > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A comparison so far. Statistics are over the seeds with which every arm is done."""

    spec: Spec
    folder: str
    data: str
    metric: str
    part: str
    slots: int
    workers: int
    candidate_seconds: float
    lag: int
    runs: Sequence[RunOutcome]
    seeds: tuple[int, ...]
    pairs: tuple[Pair, ...]
    compute: Mapping[int, float] = field(default_factory=dict)
    """By seed: the seconds of training and scoring that its cheapest arm used."""
    compute_pairs: tuple[Pair, ...] = ()
    """The best of each run when it had used these, beside each other."""
    promotion: tuple[Pair, ...] = ()
    shared_seconds: float = 0.0

    def of(self, label: str) -> list[RunOutcome]:
        """An arm's runs with the seeds that all arms are done with."""
        return [run for run in self.runs if run.label == label and run.seed in self.seeds]

    def final(self, label: str) -> Estimate | None:
        return estimate([v for run in self.of(label) if (v := run.final) is not None])

    def own(self, label: str) -> Estimate | None:
        """Over the seeds in which the arm's own proposals scored at all."""
        return estimate([v for run in self.of(label) if (v := run.own_final) is not None])

    def at_equal_compute(self, label: str) -> Estimate | None:
        """The best when the seconds of the cheapest arm were used, of each seed."""
        runs = self.of(label)
        return estimate(
            [v for run in runs if (v := run.within(self.compute[run.seed])) is not None]
        )

    def judged(self, label: str) -> Estimate | None:
        return estimate([v for run in self.of(label) if (v := run.promotion) is not None])

    @property
    def start(self) -> Estimate | None:
        """The best tuned baseline, the same for all arms of a seed."""
        first = self.of(self.spec.arms[0].label)
        return estimate([v for run in first if (v := run.start) is not None])

    @property
    def searched(self) -> int:
        """How many candidates each arm may try."""
        return self.spec.config.budget.candidates - self.slots

    @property
    def smallest_p(self) -> float:
        """The smallest corrected p-value that could come out."""
        return min(1.0, smallest_p(len(self.seeds)) * max(1, len(self.pairs)))


def estimate(values: Sequence[float]) -> Estimate | None:
    """None of no value."""
    if not values:
        return None
    mean, low, high = mean_with_interval(values)
    return Estimate(mean=mean, low=low, high=high, count=len(values))


def read_result(spec: Spec, folder: Path) -> Result | None:
    """Read the archives; None while nothing was begun. Needs no data and trains nothing."""
    endings = read_endings(folder)
    found: list[RunOutcome] = []
    facts: Run | None = None
    shared = 0.0
    for seed in spec.seeds:
        start = folder / "start" / str(seed)
        if not start.exists():
            continue
        run = reopen(start)
        facts = facts or run
        shared += sum(entry.seconds for entry in run.archive.history())
        run.archive.close()
        for arm in spec.arms:
            place = folder / "runs" / f"{arm.folder}-{seed}"
            if place.exists():
                one = _read_run(spec, arm, seed, place, endings.get((arm.label, seed), ""))
                found += [one] if one is not None else []
    if facts is None:
        return None
    finals = {(r.label, r.seed): v for r in found if r.ended and (v := r.final) is not None}
    seeds = tuple(s for s in spec.seeds if all((arm.label, s) in finals for arm in spec.arms))
    plan = facts.plan
    compute = cheapest(found, seeds)
    return Result(
        spec=spec,
        folder=str(folder),
        data=str(facts.facts["dataset"]["name"]),
        metric=facts.metric,
        part="search",
        slots=plan.baseline_slots,
        workers=plan.workers,
        candidate_seconds=plan.seconds,
        lag=plan.lag,
        runs=found,
        seeds=seeds,
        pairs=compare_pairs(spec.pairs(), finals, seeds),
        compute=compute,
        compute_pairs=_compute_pairs(spec, found, compute),
        promotion=_promotion_pairs(spec, found, seeds),
        shared_seconds=shared,
    )


def cheapest(runs: Sequence[RunOutcome], seeds: Sequence[int]) -> dict[int, float]:
    """By seed: the seconds of training and scoring of the run that used fewest."""
    used = {
        seed: [run.seconds[-1] if run.seconds else 0.0 for run in runs if run.seed == seed]
        for seed in seeds
    }
    return {seed: min(each) for seed, each in used.items()}


def _compute_pairs(
    spec: Spec, runs: Sequence[RunOutcome], compute: Mapping[int, float]
) -> tuple[Pair, ...]:
    """At equal training time, over the seeds in which every arm had something by then."""
    values = {
        (run.label, run.seed): value
        for run in runs
        if run.seed in compute and (value := run.within(compute[run.seed])) is not None
    }
    seeds = [s for s in compute if all((arm.label, s) in values for arm in spec.arms)]
    return compare_pairs(spec.pairs(), values, seeds)


def compare_pairs(
    pairs: Sequence[tuple[str, str]],
    values: Mapping[tuple[str, int], float],
    seeds: Sequence[int],
) -> tuple[Pair, ...]:
    """Each pair of arms over these seeds, p-values corrected for all pairs; () without a seed."""
    if not seeds:
        return ()
    rows = []
    for arm, other in pairs:
        differences = [values[arm, seed] - values[other, seed] for seed in seeds]
        rows.append([0.0 if abs(d) <= EVEN else d for d in differences])
    p_values = [sign_flip_p(row) for row in rows]
    found = []
    for (arm, other), row, p, corrected in zip(pairs, rows, p_values, holm(p_values), strict=True):
        mean, low, high = mean_with_interval(row)
        found.append(
            Pair(
                arm=arm,
                other=other,
                difference=Estimate(mean=mean, low=low, high=high, count=len(row)),
                by_seed=tuple(row),
                wins=sum(d > 0 for d in row),
                losses=sum(d < 0 for d in row),
                ties=sum(d == 0 for d in row),
                p=p,
                p_corrected=corrected,
            )
        )
    return tuple(found)


def _promotion_pairs(
    spec: Spec, found: Sequence[RunOutcome], seeds: Sequence[int]
) -> tuple[Pair, ...]:
    """The winners beside each other on the promotion part, over seeds where all were judged."""
    values = {(r.label, r.seed): r.promotion for r in found if r.promotion is not None}
    judged = [s for s in seeds if all((arm.label, s) in values for arm in spec.arms)]
    return compare_pairs(spec.pairs(), values, judged)


def _read_run(spec: Spec, arm: Arm, seed: int, place: Path, ended: str) -> RunOutcome | None:
    run = reopen(place)
    try:
        slots, metric = run.plan.baseline_slots, run.metric
        entries = run.archive.history(spec.config.budget.candidates - 1)
        tuned = [s for e in entries[:slots] if (s := e.score(metric)) is not None]
        start = max(tuned, default=None)
        searched = [entry for entry in entries if entry.number >= slots]
        own: list[float | None] = []
        for entry in searched:
            own.append(_better(own[-1] if own else None, entry.score(metric)))
        best = [_better(start, value) for value in own]
        winner = run.archive.best(entries)
        kinds = [
            "stopped early" if isinstance(e.evaluation, Stopped) else e.evaluation.kind
            for e in searched
            if not isinstance(e.evaluation, Scored)
        ]
        judged = None
        if winner is not None:
            judged = run.archive.evaluations(winner.number, PROMOTION).get(run.seed)
        usd, tokens, unpriced = run.archive.spent()
        exchanges = run.archive.exchanges()
        return RunOutcome(
            label=arm.label,
            seed=seed,
            folder=str(place),
            ended=ended,
            start=start,
            best=tuple(best),
            own=tuple(own),
            seconds=tuple(accumulate(entry.seconds for entry in searched)),
            proposed=tuple(entry.candidate.id for entry in searched),
            failed=dict(Counter(kinds)),
            repeats=_repeats(entries, slots),
            wall_seconds=run.archive.seconds_used(),
            model_seconds=sum(exchange.seconds for exchange in exchanges),
            requests=len(exchanges),
            tokens=tokens,
            usd=usd,
            unpriced=unpriced,
            winner=winner.candidate.name or winner.candidate.family if winner else "",
            winner_number=winner.number if winner else -1,
            promotion=judged.metrics[metric] if isinstance(judged, Scored) else None,
            promotion_failed=judged.kind if isinstance(judged, Failed) else "",
        )
    finally:
        run.archive.close()


def _better(before: float | None, score: float | None) -> float | None:
    known = [value for value in (before, score) if value is not None]
    return max(known, default=None)


def _repeats(entries: Sequence[Entry], slots: int) -> int:
    seen: set[str] = set()
    found = 0
    for entry in entries:
        found += entry.number >= slots and entry.candidate.id in seen
        seen.add(entry.candidate.id)
    return found
