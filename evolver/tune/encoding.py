"""Points as vectors, decision by decision: what controllers and surrogates look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from evolver.core import Parameter, Value
from evolver.tune.points import is_active
from evolver.tune.sampling import to_unit


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

    @cached_property
    def prefixes(self) -> NDArray[np.float32]:
        """(len(space), width): ones at the columns that are decided before parameter i is."""
        columns = np.arange(self.width)
        return (columns[None, :] < self.starts[:-1, None]).astype(np.float32)

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
