"""Tunes the zoo: what a careful engineer would have tried first, on equal terms with the search."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from evolver.core import Brief, Candidate, Entry, Observation, Parameter, Tuner

PROPOSER = "baseline"
SEED = "seed"
"""The operator of a baseline at its defaults."""
KEEP = 3
"""So many of the best baselines are tuned."""


def is_baseline(entry: Entry) -> bool:
    """Whether an entry is a trial of a baseline."""
    return entry.candidate.proposer == PROPOSER


def is_default(candidate: Candidate) -> bool:
    """Whether this is a baseline as it comes, before anybody tuned it."""
    return candidate.proposer == PROPOSER and candidate.operator == SEED


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A baseline: its file and the tunables that the file declares."""

    name: str
    candidate: Candidate
    parameters: tuple[Parameter, ...]


class BaselineProposer:
    """Every baseline at its defaults first, then tuning for the best few.

    After the defaults, each trial goes to the one of the `keep` best baselines with tunables that
    has had the fewest, trials in flight included; to the better one of equals. A pure function of
    the brief, so it resumes by itself.
    """

    name = PROPOSER

    def __init__(self, known: Sequence[Known], tuner: Tuner, metric: str, keep: int = KEEP) -> None:
        if not known:
            raise ValueError("at least one baseline is needed")
        self._known = tuple(known)
        self._tuner = tuner
        self._metric = metric
        self._keep = keep

    def propose(self, brief: Brief) -> Candidate:
        """The next trial of a baseline."""
        if brief.number < len(self._known):
            return self._known[brief.number].candidate
        chosen = self._turn(brief)
        tried = [e for e in brief.history if e.candidate.source == chosen.candidate.source]
        defaults = {p.name: p.default for p in chosen.parameters if p.default is not None}
        observed = [
            Observation(
                point=defaults | dict(e.candidate.values),
                score=e.score(self._metric),
                partial=e.partial(self._metric),
            )
            for e in tried
        ]
        values = self._tuner.suggest(chosen.parameters, observed, brief.seed + brief.number)
        return replace(
            chosen.candidate,
            values=values,
            parents=tuple(e.candidate.id for e in tried[:1]),
            operator="tune",
        )

    def _turn(self, brief: Brief) -> Known:
        """Whose trial this number is.

        What is in flight cannot be seen, but whose it is follows from the same rule and a part of
        the same history: number m was given away knowing what was recorded `lag` before it.
        """
        seen = max((e.number for e in brief.history), default=-1)
        lag = brief.number - seen
        turns = {e.number: e.candidate.source for e in brief.history}
        turns |= {m: k.candidate.source for m, k in enumerate(self._known)}
        chosen = self._known[0]
        for number in range(max(seen + 1, len(self._known)), brief.number + 1):
            past = [e for e in brief.history if e.number <= number - lag]
            trials = Counter(source for m, source in turns.items() if m < number)
            chosen = min(self._kept(past), key=lambda k: trials[k.candidate.source])
            turns[number] = chosen.candidate.source
        return chosen

    def _kept(self, history: Sequence[Entry]) -> list[Known]:
        """The best baselines with tunables, best first; what was stopped comes after what has a
        score, and before what has nothing to show."""
        best: dict[str, tuple[int, float]] = {}
        for entry in history:
            score, partial = entry.score(self._metric), entry.partial(self._metric)
            rank = (0, 0.0) if partial is None else (1, partial)
            rank = rank if score is None else (2, score)
            source = entry.candidate.source
            best[source] = max(rank, best.get(source, rank))
        tunable = [k for k in self._known if k.parameters] or list(self._known)
        ranked = sorted(tunable, key=lambda k: best.get(k.candidate.source, (0, 0.0)), reverse=True)
        return ranked[: self._keep]
