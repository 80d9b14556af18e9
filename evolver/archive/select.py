"""Picks parents from what is recorded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evolver.core import Entry


class Tournament:
    """The best of a few drawn at random is the first parent; then the best, then a different kind.

    The second and third are inspirations: the best entry of all, and the best of a family other
    than the first parent's. No entry is named twice. Tournament selection: Goldberg and Deb 1991.
    """

    def __init__(self, metric: str, size: int = 4) -> None:
        self._metric = metric
        self._size = size

    def select(self, history: Sequence[Entry], seed: int) -> list[Entry]:
        """Up to three scored entries; none when nothing is scored yet."""
        scores = {
            e.number: (s, -e.number) for e in history if (s := e.score(self._metric)) is not None
        }
        scored = [entry for entry in history if entry.number in scores]
        if not scored:
            return []

        def best(entries: Sequence[Entry]) -> Entry:
            return max(entries, key=lambda entry: scores[entry.number])

        draw = np.random.default_rng(seed).integers(len(scored), size=self._size)
        parent = best([scored[i] for i in draw])
        others = [e for e in scored if e.candidate.family != parent.candidate.family]
        chosen = [parent, best(scored), *([best(others)] if others else [])]
        return list({entry.number: entry for entry in chosen}.values())
