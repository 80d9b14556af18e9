"""Equal terms, accounted for: how often each program was tried, and what tuning added to the idea.

A program that was tuned more than its rival looks better for that alone. So the trials of the best
baselines and of the best programs that the search found are counted side by side, and a gain is
taken apart: the idea is the program as it was proposed against the baseline at its best, the rest
is tuning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evolver.core import Entry, Failed, Parameter
from evolver.evaluate.check import inspect_source
from evolver.evaluate.fingerprint import program_digest
from evolver.propose.programs import Program, most_baseline_trials, programs

SHOWN = 3
"""So many of the best baselines, and of the best programs of the search."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """One program, its trials and what they brought, on the run's metric on the search part.

    number: its best trial. wanted: the trials of the most tuned baseline, which the program should
    have, or its own where it declares nothing to tune. first: as proposed. idea: `first` minus the
    best baseline at its best; None for a baseline. tuning: `best` minus `first`.
    """

    name: str
    number: int
    baseline: bool
    trials: int
    wanted: int
    first: float
    best: float
    idea: float | None
    tuning: float

    @property
    def short(self) -> int:
        """Trials that it lacks for equal terms."""
        return max(0, self.wanted - self.trials)


def tuned(history: Sequence[Entry], metric: str) -> tuple[Tuned, ...]:
    """The best baselines, then the best programs of the search; each group the best first."""
    known = [p for p in programs(history, program_digest, metric) if p.best(metric) is not None]
    wanted = most_baseline_trials(known)
    theirs = [p for p in known if p.baseline]
    best = theirs[0].best(metric) if theirs else None
    bar = None if best is None else best.score(metric)
    ours = [p for p in known if not p.baseline]
    return tuple(_row(p, metric, wanted, bar) for p in (*theirs[:SHOWN], *ours[:SHOWN]))


def terms(rows: Sequence[Tuned]) -> str:
    """One sentence: whether the programs of the search had as many trials as the baselines."""
    ours = [row for row in rows if not row.baseline]
    most = max((row.trials for row in rows if row.baseline), default=0)
    if not ours or not most:
        return ""
    head = f"The most tuned baseline had {most} trial{'s' * (most > 1)}"
    short = [f"{row.name} {row.trials}" for row in ours if row.short]
    more = [f"{row.name} {row.trials}" for row in ours if row.trials > most]
    fixed = [row.name for row in ours if row.trials < most and not row.short]
    said = [f"fewer: {', '.join(short)} (the budget did not go further)"] if short else []
    said += [f"nothing to tune: {', '.join(fixed)}"] if fixed else []
    said += [f"more: {', '.join(more)}"] if more else []
    return f"{head}; {'; '.join(said)}." if said else f"{head}, and so had each program here."


def _row(program: Program, metric: str, wanted: int, bar: float | None) -> Tuned:
    first, best = program.first(metric), program.best(metric)
    start = None if first is None else first.score(metric)
    top = None if best is None else best.score(metric)
    if best is None or start is None or top is None:
        raise RuntimeError("a program without a score has no row")
    return Tuned(
        name=best.candidate.name or best.candidate.family,
        number=best.number,
        baseline=program.baseline,
        trials=len(program.trials),
        wanted=wanted if _tunables(best) and not program.baseline else len(program.trials),
        first=start,
        best=top,
        idea=None if program.baseline or bar is None else start - bar,
        tuning=top - start,
    )


def _tunables(entry: Entry) -> Sequence[Parameter]:
    facts = inspect_source(entry.candidate.source)
    return () if isinstance(facts, Failed) else facts.tunables
