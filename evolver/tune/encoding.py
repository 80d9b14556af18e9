"""Points as vectors, decision by decision: what controllers and critics look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from evolver.core import Parameter, Value
from evolver.tune.points import is_active
from evolver.tune.sampling import Rule, from_unit, to_unit

BINS = 10
"""Into how many equal parts the range of a number is cut."""
CENTRES = np.linspace(0.0, 1.0, 4)
REACH = 0.25


@dataclass(frozen=True, eq=False)
class Encoding:
    """A fixed layout of a space: one-hot columns for a choice; for a number, whether it exists
    and its place between its bounds."""

    space: tuple[Parameter, ...]

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """(len(space) + 1,): the columns of parameter i are starts[i] to starts[i + 1]."""
        widths = [len(p.choices) if p.kind == "choice" else 2 for p in self.space]
        return np.concatenate([[0], np.cumsum(widths)]).astype(np.int64)

    @property
    def width(self) -> int:
        return int(self.starts[-1])

    def row(self, point: Mapping[str, Value]) -> NDArray[np.float32]:
        """(width,): the point, or as much of it as is decided."""
        out = np.zeros(self.width, dtype=np.float32)
        for start, p in zip(self.starts, self.space, strict=False):
            if p.name not in point:
                continue
            if p.kind == "choice":
                out[start + p.choices.index(point[p.name])] = 1.0
            else:
                out[start : start + 2] = 1.0, to_unit(p, point[p.name])
        return out


@dataclass(frozen=True, eq=False)
class Decisions:
    """A space as decisions among finitely many actions, in declared order: the values of a choice,
    or the `BINS` parts of a number's range. The action space of every controller.

    An action has features: one-hot for a choice; for a number a few bumps over its range, so that
    neighbouring places look alike. A point's features are the sum of its actions', all of one
    length, so that the product of two points' features counts what they share.
    """

    space: tuple[Parameter, ...]

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """(steps,): how many actions each decision has."""
        sizes = [len(p.choices) if p.kind == "choice" else BINS for p in self.space]
        return np.array(sizes, dtype=np.int64)

    @cached_property
    def _starts(self) -> list[int]:
        widths = [len(p.choices) if p.kind == "choice" else len(CENTRES) for p in self.space]
        return [0, *np.cumsum(widths).tolist()]

    @property
    def width(self) -> int:
        return self._starts[-1]

    @cached_property
    def features(self) -> NDArray[np.float32]:
        """(steps, most actions, width)."""
        out = np.zeros((len(self.space), int(self.sizes.max()), self.width), dtype=np.float32)
        for step, p in enumerate(self.space):
            for action in range(self.sizes[step]):
                out[step, action] = self.row({p.name: self.value(step, action)})
        return out

    @cached_property
    def parents(self) -> NDArray[np.int64]:
        """(steps,): the decision that each one hangs on; -1 where it is always there."""
        names = [p.name for p in self.space]
        found = [-1 if p.when is None else names.index(p.when[0]) for p in self.space]
        return np.array(found, dtype=np.int64)

    @cached_property
    def opened(self) -> NDArray[np.bool_]:
        """(steps, most actions): for which of its parent's actions a decision exists."""
        out = np.zeros((len(self.space), int(self.sizes.max())), dtype=bool)
        for step, parent in enumerate(self.parents):
            if parent >= 0:
                above = self.space[parent]
                for action, value in enumerate(above.choices):
                    out[step, action] = is_active(self.space[step], {above.name: value})
        return out

    def value(self, step: int, action: int, place: float = 0.5) -> Value:
        """What an action decides; for a number, at this place (0 to 1) within its part."""
        p = self.space[step]
        return p.choices[action] if p.kind == "choice" else from_unit(p, (action + place) / BINS)

    def row(self, point: Mapping[str, Value]) -> NDArray[np.float32]:
        """(width,): the point's features, or those of as much of it as is decided."""
        out = np.zeros(self.width, dtype=np.float32)
        for start, p in zip(self._starts, self.space, strict=False):
            if p.name not in point:
                continue
            if p.kind == "choice":
                out[start + p.choices.index(point[p.name])] = 1.0
            else:
                away = (to_unit(p, point[p.name]) - CENTRES) / REACH
                bumps = np.exp(-0.5 * away**2)
                out[start : start + len(CENTRES)] = bumps / np.linalg.norm(bumps)
        return out

    def lawful(
        self, step: int, point: Mapping[str, Value], rules: Sequence[Rule]
    ) -> NDArray[np.bool_]:
        """(sizes[step],): which actions break no rule, given what is decided. Where all do, all are
        left open: such a point is to be mended afterwards."""
        p = self.space[step]
        kept = np.ones(self.sizes[step], dtype=bool)
        mine = [rule for rule in rules if p.name in rule.names()]
        for action in range(len(kept) if mine else 0):
            decided = {**point, p.name: self.value(step, action)}
            kept[action] = not any(rule.broken_by(decided) for rule in mine)
        return kept if kept.any() else ~kept

    def rows(self, points: Sequence[Mapping[str, Value]]) -> NDArray[np.float32]:
        """(len(points), width)."""
        return np.array([self.row(point) for point in points]).reshape(len(points), self.width)

    def next_open(self, point: Mapping[str, Value], start: int) -> int:
        """The first parameter from `start` on that exists, given the point so far; or the end."""
        for index in range(start, len(self.space)):
            if is_active(self.space[index], point):
                return index
        return len(self.space)


def centred_ranks(scores: Sequence[float]) -> NDArray[np.float32]:
    """(n,) from -1 for the worst to 1 for the best, ties at their mean: scores of one data set
    become comparable with those of another."""
    values = np.asarray(scores, dtype=np.float64)
    below = (values[:, None] > values[None, :]).sum(axis=1)
    above = (values[:, None] < values[None, :]).sum(axis=1)
    return np.asarray((below - above) / max(len(values) - 1, 1), dtype=np.float32)
