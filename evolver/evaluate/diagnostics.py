"""What a candidate is bad at: by slice of users, and user by user against its parent and the best.

As data for prompts, as a small table for people. Only means over at least 20 users leave here;
which item a user took stays with the evaluator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evolver.core import Scored
from evolver.evaluate.slices import Slice
from evolver.metrics.statistics import mean_interval

_BREADTH = ("coverage", "popularity_share", "novelty", "gini", "diversity")


@dataclass(frozen=True, slots=True, kw_only=True)
class Duel:
    """One candidate against another on the same users. low, high: 95% interval."""

    against: str
    difference: float
    low: float
    high: float
    better: int
    worse: int
    same: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One slice: the candidate's mean, and the duels on it in the order of `Diagnostics.duels`."""

    group: str
    name: str
    users: int
    value: float
    duels: tuple[Duel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostics:
    """breadth: coverage, popularity share and the like, where they were measured."""

    metric: str
    users: int
    value: float
    unserved: int
    duels: tuple[Duel, ...]
    rows: tuple[Row, ...]
    breadth: dict[str, float]

    def as_data(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)

    def __str__(self) -> str:
        return table(self)


def diagnose(
    scored: Scored,
    slices: Sequence[Slice],
    metric: str,
    others: Sequence[tuple[str, Scored]] = (),
) -> Diagnostics:
    """Compare a candidate with others ("parent", "best"), judged on the same part.

    `slices` are the fold's, from `slices_of`. Raises ValueError where users do not match.
    """
    values = scored.per_user[metric].astype(np.float64)
    rivals = [(name, other.per_user[metric].astype(np.float64)) for name, other in others]
    for name, other in (*rivals, *((each.name, each.mask) for each in slices)):
        if len(other) != len(values):
            raise ValueError(f"{len(values)} users judged, but {len(other)} for {name!r}")
    rows = tuple(
        Row(
            group=each.group,
            name=each.name,
            users=each.users,
            value=float(values[each.mask].mean()),
            duels=tuple(_duel(name, values[each.mask], rival[each.mask]) for name, rival in rivals),
        )
        for each in slices
    )
    return Diagnostics(
        metric=metric,
        users=len(values),
        value=float(values.mean()),
        unserved=scored.unserved,
        duels=tuple(_duel(name, values, rival) for name, rival in rivals),
        rows=rows,
        breadth={
            name: value
            for name, value in scored.metrics.items()
            if name.partition("@")[0] in _BREADTH
        },
    )


def _duel(name: str, values: NDArray[np.float64], rival: NDArray[np.float64]) -> Duel:
    differences = values - rival
    mean, low, high = mean_interval(differences)
    return Duel(
        against=name,
        difference=mean,
        low=low,
        high=high,
        better=int((differences > 0).sum()),
        worse=int((differences < 0).sum()),
        same=int((differences == 0).sum()),
    )


def table(found: Diagnostics) -> str:
    """At most 80 columns of text. A star marks a difference whose 95% interval leaves out 0."""
    lines = [f"{found.metric} {found.value:.4f} over {found.users:,} users"]
    if found.unserved:
        lines[0] += f", {found.unserved:,} of them not served by it"
    for duel in found.duels:
        lines.append(
            f"against {duel.against}: {duel.difference:+.4f} "
            f"({duel.low:+.4f} to {duel.high:+.4f}); better for {duel.better:,}, "
            f"worse for {duel.worse:,}"
        )
    if found.breadth:
        lines.append(", ".join(f"{name} {value:.3g}" for name, value in found.breadth.items()))
    if found.rows:
        heads = "".join(f"{'vs ' + duel.against[:8]:>12}" for duel in found.duels)
        lines.append(f"{'slice':<34}{'users':>8}{'value':>8}{heads}")
    group = ""
    for row in found.rows:
        if row.group != group:
            group = row.group
            lines.append(f"{group}:")
        cells = "".join(f"{duel.difference:>+11.4f}{_star(duel)}" for duel in row.duels)
        lines.append(f"  {row.name[:31]:<32}{row.users:>8,}{row.value:>8.4f}{cells}".rstrip())
    return "\n".join(lines)


def _star(duel: Duel) -> str:
    return "*" if duel.low > 0 or duel.high < 0 else " "
