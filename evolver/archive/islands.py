"""Islands: several populations side by side, whose best wander to the next one now and then.

Isolation keeps one early success from becoming the parent of everything; migration brings it to
the others once they had time to grow something of their own (Tanese 1989; Cohoon et al. 1987).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from evolver.archive.ranking import Pick, ranked, with_inspirations
from evolver.core import Entry


@dataclass(frozen=True, slots=True)
class Populations:
    """Who lives where. homes: the island that each entry was born on, by number. members: for each
    island, the entries born there and those that came; nobody ever leaves or dies."""

    homes: dict[int, int]
    members: list[dict[int, Entry]]


@dataclass(frozen=True, slots=True)
class Islands:
    """Candidate n is bred on island n modulo `count`, so every island gets its turn.

    A child whose first parent lives on the island of its turn is born there, migrants' children
    included. Anything else (a parent that a tuner or a person chose by itself) is born where its
    parent was. What has no parent is born on the island of its turn. After every `every` numbers
    the best of each island is copied to the next one, in a ring. An island on which nothing is
    scored yet takes parents from all.

    `origin` is the seed of the run: candidate n is selected for with the seed origin + n.
    """

    metric: str
    count: int
    every: int
    origin: int
    pick: Pick = field(repr=False)

    def select(self, history: Sequence[Entry], seed: int) -> list[Entry]:
        """Up to three scored entries of the island whose turn it is: a parent, the island's best,
        its best of another family. None when nothing is scored yet."""
        scored = ranked(history, self.metric)
        if not scored:
            return []
        turn = (seed - self.origin) % self.count
        here = ranked(list(self.populations(history).members[turn].values()), self.metric)
        pool = here or scored
        return with_inspirations(self.pick(pool, np.random.default_rng(seed)), pool)

    def homes(self, history: Sequence[Entry]) -> dict[int, int]:
        """By number: the island that each entry was born on."""
        return self.populations(history).homes

    def populations(self, history: Sequence[Entry]) -> Populations:
        """Everything told again in order of the numbers: what a later entry does changes nothing
        for the earlier ones."""
        members: list[dict[int, Entry]] = [{} for _ in range(self.count)]
        homes: dict[int, int] = {}
        first: dict[str, int] = {}
        due = self.every
        for entry in sorted(history, key=lambda e: e.number):
            while entry.number >= due:
                self._migrate(members)
                due += self.every
            home = self._home(entry, members, homes, first)
            homes[entry.number] = home
            members[home][entry.number] = entry
            first.setdefault(entry.candidate.id, entry.number)
        return Populations(homes, members)

    def _home(
        self,
        entry: Entry,
        members: Sequence[dict[int, Entry]],
        homes: dict[int, int],
        first: dict[str, int],
    ) -> int:
        turn = entry.number % self.count
        parents = entry.candidate.parents
        parent = first.get(parents[0]) if parents else None
        return turn if parent is None or parent in members[turn] else homes[parent]

    def _migrate(self, members: list[dict[int, Entry]]) -> None:
        elites = [ranked(list(island.values()), self.metric)[:1] for island in members]
        for island, found in enumerate(elites):
            for elite in found:
                members[(island + 1) % self.count].setdefault(elite.number, elite)
