"""What selectors share: entries best first, and ways to draw one of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from evolver.core import Entry

Pick = Callable[[Sequence[Entry], np.random.Generator], Entry]
"""Draws one of some entries that come best first; there is at least one."""


def ranked(entries: Sequence[Entry], metric: str) -> list[Entry]:
    """The scored ones, best first; the earliest of equals."""
    scored = [(score, e) for e in entries if (score := e.score(metric)) is not None]
    return [e for _, e in sorted(scored, key=lambda pair: (-pair[0], pair[1].number))]


def tournament(size: int) -> Pick:
    """The best of `size` that are drawn with replacement."""

    def pick(entries: Sequence[Entry], rng: np.random.Generator) -> Entry:
        return entries[int(rng.integers(len(entries), size=size).min())]

    return pick


def power_law(power: float) -> Pick:
    """The one of rank r (from 1) with a chance that falls as r to the minus `power`."""

    def pick(entries: Sequence[Entry], rng: np.random.Generator) -> Entry:
        weights = np.arange(1, len(entries) + 1, dtype=np.float64) ** -power
        return entries[int(rng.choice(len(entries), p=weights / weights.sum()))]

    return pick


def with_inspirations(parent: Entry, scored: Sequence[Entry]) -> list[Entry]:
    """`parent`, then the best of `scored` (best first), then the best of another family."""
    other = next((e for e in scored if e.candidate.family != parent.candidate.family), None)
    chosen = [parent, scored[0], *([other] if other is not None else [])]
    return list({e.number: e for e in chosen}.values())
