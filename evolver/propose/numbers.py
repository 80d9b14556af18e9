"""Tunes the numbers that promising candidates declare: ideas are judged at their best."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from evolver.core import (
    Brief,
    Candidate,
    Entry,
    Failed,
    Observation,
    Parameter,
    Tuner,
    Unusable,
)
from evolver.propose.operators import allowed, ours

KEEP = 3
"""So many of the best programs share the trials."""


class NumbersProposer:
    """Gives the tunables of one of the best programs new values. A pure function of the brief.

    Only programs that were proposed by prompt: baselines have trials of their own, and typed
    search its own tuner. `parameters` reads what a source declares, without running it; None where
    it cannot.
    """

    name = "tuner"

    def __init__(
        self, tuner: Tuner, parameters: Callable[[str], Sequence[Parameter] | None]
    ) -> None:
        self._tuner = tuner
        self._parameters = parameters

    def can(self, brief: Brief) -> bool:
        """Whether there is anything to tune yet."""
        return bool(self._tunable(brief))

    def propose(self, brief: Brief) -> Candidate | Unusable:
        """New values for the least tried of the best programs; the best of equals first."""
        tunable = self._tunable(brief)
        if not tunable:
            return Unusable(
                asked=Candidate(source="", proposer=self.name, operator="tune"),
                why=Failed(kind="contract", reason="no scored candidate declares tunables"),
            )
        leader, trials, parameters = min(
            tunable, key=lambda found: len(found[1]) - _head_start(found, tunable)
        )
        defaults = {p.name: p.default for p in parameters if p.default is not None}
        observed = [
            Observation(
                point=defaults | dict(entry.candidate.values),
                score=entry.score(brief.metric),
                partial=entry.partial(brief.metric),
            )
            for entry in trials
        ]
        values = self._tuner.suggest(parameters, observed, brief.seed + brief.number)
        origin = leader.candidate
        return Candidate(
            source=origin.source,
            values=values,
            parents=(origin.id,),
            name=origin.name,
            idea=origin.idea,
            family=origin.family,
            proposer=self.name,
            operator="tune",
        )

    def _tunable(self, brief: Brief) -> list[tuple[Entry, list[Entry], Sequence[Parameter]]]:
        """The best programs with tunables: (best entry, all its trials, parameters), best first.
        What reviewers turned down is not tuned on."""
        by_source: dict[str, list[Entry]] = {}
        for entry in brief.history:
            by_source.setdefault(entry.candidate.source, []).append(entry)
        ranked = sorted(
            (
                (max(scores), -trials[0].number, trials)
                for trials in by_source.values()
                if any(ours(e) for e in allowed(trials))
                and (scores := _scores(allowed(trials), brief.metric))
            ),
            key=lambda found: found[:2],
            reverse=True,
        )
        found: list[tuple[Entry, list[Entry], Sequence[Parameter]]] = []
        for top, _, trials in ranked:
            parameters = self._parameters(trials[0].candidate.source)
            if parameters:
                leader = next(e for e in allowed(trials) if e.score(brief.metric) == top)
                found.append((leader, trials, parameters))
            if len(found) == KEEP:
                break
        return found


def _scores(trials: Sequence[Entry], metric: str) -> list[float]:
    return [score for e in trials if (score := e.score(metric)) is not None]


def _head_start(
    found: tuple[Entry, list[Entry], Sequence[Parameter]],
    ranked: Sequence[tuple[Entry, list[Entry], Sequence[Parameter]]],
) -> int:
    """Better programs may be further ahead in trials: two for each rank."""
    return 2 * (len(ranked) - 1 - ranked.index(found))
