"""Picks parents from what is recorded: pure functions of the history and of a seed.

The first parent is the one to work on; what follows it are inspirations. No entry is named twice,
and a failed one never is. Nothing is kept between calls, so a resumed run selects as it would have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evolver.archive.elites import Cell, MapElites, Pareto
from evolver.archive.islands import Islands
from evolver.archive.ranking import Pick, power_law, ranked, tournament, with_inspirations
from evolver.config import SelectConfig
from evolver.core import Entry, Selector


@dataclass(frozen=True, slots=True)
class Best:
    """One pool for all: the first parent by `pick`, then the best, then a different kind."""

    metric: str
    pick: Pick

    def select(self, history: Sequence[Entry], seed: int) -> list[Entry]:
        """Up to three scored entries; none when nothing is scored yet."""
        scored = ranked(history, self.metric)
        if not scored:
            return []
        parent = self.pick(scored, np.random.default_rng(seed))
        return with_inspirations(parent, scored)


def Tournament(metric: str, size: int = 4) -> Best:  # noqa: N802 - the name of the method
    """The best of `size` drawn at random (Goldberg and Deb 1991)."""
    return Best(metric, tournament(size))


def selector(config: SelectConfig, metric: str, seed: int) -> Selector:
    """The configured selector of a run with this seed."""
    makers: Mapping[str, Callable[[], Selector]] = {
        "tournament": lambda: Tournament(metric, config.tournament),
        "power-law": lambda: Best(metric, power_law(config.power)),
        "pareto": lambda: Pareto(metric),
        "map-elites": lambda: MapElites(metric),
        "islands": lambda: islands(config, metric, seed),
    }
    return makers[config.selector]()


def islands(config: SelectConfig, metric: str, seed: int) -> Islands:
    """The islands of a run with this seed."""
    return Islands(
        metric,
        count=config.islands,
        every=config.migrate_every,
        origin=seed,
        pick=tournament(config.tournament),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an entry stands in the archive's maps. `island` is None where the run has none, `cell`
    for a failure. `elite`: the best of its cell. `front`: no other is better in every respect."""

    island: int | None
    cell: Cell | None
    elite: bool
    front: bool

    @property
    def words(self) -> str:
        """For a table: "island 2; knn, under 10 s, 25% to 50% popular (its best); on the front"."""
        island = "" if self.island is None else f"island {self.island}"
        cell = "" if self.cell is None else f"{self.cell}{' (its best)' if self.elite else ''}"
        front = "on the front" if self.front else ""
        return "; ".join(part for part in (island, cell, front) if part)


def places(
    history: Sequence[Entry], config: SelectConfig, metric: str, seed: int
) -> dict[int, Place]:
    """By number: the place of every entry."""
    homes = islands(config, metric, seed).homes(history) if config.selector == "islands" else {}
    elites = MapElites(metric).elites(history)
    best = {e.number for e in elites.values()}
    front = {e.number for e in Pareto(metric).front(history)}
    return {
        e.number: Place(
            island=homes.get(e.number),
            cell=MapElites.cell(e),
            elite=e.number in best,
            front=e.number in front,
        )
        for e in history
    }
