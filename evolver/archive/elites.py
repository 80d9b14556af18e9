"""Maps of what was tried: the best of every kind (MAP-Elites), and what nothing else dominates.

Both read recorded times of fitting and scoring, as the bandits do: a run that is repeated on
another machine may select other parents, one that is resumed reads what it read before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evolver.archive.ranking import ranked, with_inspirations
from evolver.core import Entry, Scored

SHARES = 4
"""Popularity share is told apart in so many equal parts."""


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """family; cost: the power of ten of the seconds that fitting and scoring took; popularity: the
    part of [0, 1], of four, that the share of popular items in its lists falls into."""

    family: str
    cost: int
    popularity: int

    def __str__(self) -> str:
        share = f"{self.popularity / SHARES:.0%} to {(self.popularity + 1) / SHARES:.0%}"
        return f"{self.family}, under {10.0 ** (self.cost + 1):g} s, {share} popular"


@dataclass(frozen=True, slots=True)
class MapElites:
    """A grid of family, cost and popularity share that keeps the best of each cell; the parent is
    the elite of a cell drawn at random (Mouret and Clune 2015, arXiv 1504.04909)."""

    metric: str

    def select(self, history: Sequence[Entry], seed: int) -> list[Entry]:
        """A parent, the best of all, the best of another family; none while nothing is scored."""
        elites = self.elites(history)
        if not elites:
            return []
        rng = np.random.default_rng(seed)
        cells = sorted(elites)
        parent = elites[cells[int(rng.integers(len(cells)))]]
        return with_inspirations(parent, ranked(history, self.metric))

    def elites(self, history: Sequence[Entry]) -> dict[Cell, Entry]:
        """The best entry of every cell that was ever reached; the earliest of equals."""
        found: dict[Cell, Entry] = {}
        for entry in ranked(history, self.metric):
            cell = self.cell(entry)
            if cell is not None:
                found.setdefault(cell, entry)
        return found

    @staticmethod
    def cell(entry: Entry) -> Cell | None:
        """Where an entry belongs; None for a failure."""
        if not isinstance(entry.evaluation, Scored):
            return None
        seconds = entry.evaluation.fit_seconds + entry.evaluation.score_seconds
        share = next(
            (v for k, v in entry.evaluation.metrics.items() if k.startswith("popularity_share@")),
            0.0,
        )
        return Cell(
            family=" ".join(entry.candidate.family.lower().split()),
            cost=max(-1, math.floor(math.log10(max(seconds, 0.1)))),
            popularity=min(SHARES - 1, int(share * SHARES)),
        )


@dataclass(frozen=True, slots=True)
class Pareto:
    """Parents from the front of quality, latency (median of single requests) and size.

    Two are drawn; the one in the less crowded part of the front is the parent (crowding distance:
    Deb et al. 2002).
    """

    metric: str

    def select(self, history: Sequence[Entry], seed: int) -> list[Entry]:
        """A parent, the best of all, the best of another family; none while nothing is scored."""
        front = self.front(history)
        if not front:
            return []
        crowding = _crowding(np.array([self._goals(e) for e in front]))
        draw = np.random.default_rng(seed).integers(len(front), size=2)
        parent = front[max((int(d) for d in draw), key=lambda d: (crowding[d], -d))]
        return with_inspirations(parent, ranked(history, self.metric))

    def front(self, history: Sequence[Entry]) -> list[Entry]:
        """The scored entries that no other one equals or beats in all respects and beats in one;
        the best on the metric first, the earliest of equals."""
        scored = [e for e in history if e.score(self.metric) is not None]
        goals = {e.number: self._goals(e) for e in scored}
        kept: list[Entry] = []
        # In this order whoever beats or equals an entry comes before it.
        for entry in sorted(scored, key=lambda e: (*(-g for g in goals[e.number]), e.number)):
            own = goals[entry.number]
            if not any(_no_worse(goals[other.number], own) for other in kept):
                kept.append(entry)
        return kept

    def _goals(self, entry: Entry) -> tuple[float, float, float]:
        """Each higher-is-better."""
        if not isinstance(entry.evaluation, Scored):
            raise TypeError(f"candidate {entry.number} has no score")
        found = entry.evaluation
        return found.metrics[self.metric], -found.latency_ms_p50, -float(found.parameters)


def _no_worse(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(a >= b for a, b in zip(one, other, strict=True))


def _crowding(goals: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> list[float]:
    """(n,): how far each row's neighbours are, over all goals; infinite at the ends."""
    distance = np.zeros(len(goals))
    for column in goals.T:
        order = np.argsort(column, kind="stable")
        span = column[order[-1]] - column[order[0]]
        distance[order[[0, -1]]] = np.inf
        if span > 0:
            distance[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / span
    return [float(d) for d in distance]
