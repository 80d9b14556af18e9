"""Tunes the zoo: what a careful engineer would have tried first, on equal terms with the search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from evolver.core import Brief, Candidate, Entry, Observation, Parameter, Tuner

PROPOSER = "baseline"


def is_baseline(entry: Entry) -> bool:
    """Whether an entry is a trial of a baseline."""
    return entry.candidate.proposer == PROPOSER


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A baseline: its file and the tunables that the file declares."""

    name: str
    candidate: Candidate
    parameters: tuple[Parameter, ...]


class BaselineProposer:
    """Every baseline at its defaults first, then tuning for the best few.

    Successive halving at its simplest: after the defaults, trials go in turn to the `keep` best
    baselines that declare tunables. A pure function of the brief, so it resumes by itself.
    """

    name = PROPOSER

    def __init__(self, known: Sequence[Known], tuner: Tuner, metric: str, keep: int = 3) -> None:
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
            Observation(point=defaults | dict(e.candidate.values), score=e.score(self._metric))
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
        scores = self._best_by_source(brief.history)
        tunable = [k for k in self._known if k.parameters] or list(self._known)
        ranked = sorted(
            tunable, key=lambda k: scores.get(k.candidate.source, -np.inf), reverse=True
        )
        kept = ranked[: self._keep]
        return kept[(brief.number - len(self._known)) % len(kept)]

    def _best_by_source(self, history: Sequence[Entry]) -> Mapping[str, float]:
        best: dict[str, float] = {}
        for entry in history:
            score = entry.score(self._metric)
            if score is not None:
                source = entry.candidate.source
                best[source] = max(score, best.get(source, -np.inf))
        return best
