"""What earlier runs have taught, and how alike the data of two runs is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evolver.core import Observation, Parameter
from evolver.tune.points import problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Experience:
    """What was observed in one run, oldest first, and the regime of its data."""

    observed: tuple[Observation, ...]
    regime: tuple[float, ...] = ()

    def of(self, space: Sequence[Parameter]) -> Experience:
        """Only the points that lie in this space."""
        inside = tuple(o for o in self.observed if problem(space, o.point) is None)
        return Experience(observed=inside, regime=self.regime)


def regime(profile: Mapping[str, Any]) -> tuple[float, ...]:
    """A data set in six numbers of order one: magnitudes of users, items and rows per user, how
    unequal items are, how often an item is taken again, and how far popularity moves.

    `profile` is what `evolver.data.profile.describe` says of it.
    """
    users, items, rows = (max(1, int(profile[name])) for name in ("users", "items", "rows"))
    return (
        math.log10(users) - 3.0,
        math.log10(items) - 3.0,
        math.log10(rows / users) - 1.5,
        2.0 * float(profile.get("long_tail", {}).get("gini", 0.5)) - 1.0,
        float(profile.get("repeat_rate", 0.0)),
        float(profile.get("drift", {}).get("jensen_shannon", 0.0)),
    )


def likeness(one: Sequence[float], other: Sequence[float]) -> float:
    """1 for equal regimes, towards 0 the further apart they are; 1 where either is unknown."""
    if not one or not other:
        return 1.0
    return math.exp(-0.5 * sum((a - b) ** 2 for a, b in zip(one, other, strict=True)))
