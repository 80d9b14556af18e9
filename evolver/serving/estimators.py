"""What a policy would have earned, from a log of another one.

Every estimator is a mean over units of the log, or a ratio of two means; so are its intervals.
w = policy(a|x) / propensity, r = reward, q = predicted reward, v = sum_a policy(a|x) q(x, a):

    dm          v                                   direct method
    ips         w r                                 Horvitz and Thompson, 1952
    ips-clipped min(w, sqrt(n)) r                   Ionides, 2008; biased downwards
    snips       mean(w r) / mean(w)                 Swaminathan and Joachims, 2015
    dr          v + w (r - q)                       Dudik, Langford and Li, 2011
    switch-dr   v + w 1[w <= t] (r - q)             Wang, Agarwal and Dudik, 2017
    dr-shrunk   v + (l w / (w^2 + l)) (r - q)       Su et al., 2020
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evolver.serving.log import BanditLog

Floats = NDArray[np.float64]
_LIMITS = 20
"""How many limits `switch-dr` and `dr-shrunk` choose from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """(n,) parts of all estimators, row by row: weights w, rewards r, predicted q of the logged
    action, expected v under the policy."""

    weights: Floats
    rewards: Floats
    predicted: Floats
    expected: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """An estimator before averaging: mean(top), or mean(top) / mean(bottom)."""

    top: Floats
    bottom: Floats | None = None

    @property
    def value(self) -> float:
        """The estimate; 0 where all weights of a ratio are 0."""
        mean = float(self.top.mean())
        if self.bottom is None:
            return mean
        below = float(self.bottom.mean())
        return mean / below if below > 0 else 0.0

    @property
    def influence(self) -> Floats:
        """Values whose mean is the estimate and whose spread is its spread (delta method)."""
        if self.bottom is None:
            return self.top
        below, value = float(self.bottom.mean()), self.value
        if below <= 0:
            return np.zeros_like(self.top)
        return np.asarray(value + (self.top - value * self.bottom) / below)


def weights_of(log: BanditLog, chances: Floats) -> Floats:
    """(n,) importance weights of a policy with these (n, K) chances."""
    return np.asarray(chances[np.arange(len(log)), log.actions] / log.propensities)


def terms_of(log: BanditLog, chances: Floats, predicted: Floats) -> Terms:
    """The parts for a policy with (n, K) chances, and (n, K) predicted rewards."""
    return Terms(
        weights=weights_of(log, chances),
        rewards=log.rewards,
        predicted=predicted[np.arange(len(log)), log.actions],
        expected=np.asarray((chances * predicted).sum(axis=1)),
    )


def _dm(t: Terms) -> Rows:
    return Rows(top=t.expected)


def _ips(t: Terms) -> Rows:
    return Rows(top=t.weights * t.rewards)


def _clipped(t: Terms) -> Rows:
    return Rows(top=np.minimum(t.weights, len(t.weights) ** 0.5) * t.rewards)


def _snips(t: Terms) -> Rows:
    return Rows(top=t.weights * t.rewards, bottom=t.weights)


def _dr(t: Terms) -> Rows:
    return Rows(top=t.expected + t.weights * (t.rewards - t.predicted))


def _switch(t: Terms) -> Rows:
    return _least_error(t, lambda limit: np.where(t.weights <= limit, t.weights, 0.0), 1.0)


def _shrunk(t: Terms) -> Rows:
    return _least_error(t, lambda limit: limit * t.weights / (t.weights**2 + limit), 2.0)


def _least_error(t: Terms, shrink: Callable[[float], Floats], power: float) -> Rows:
    """DR with the limit of least estimated error: squared bias (of what was cut off) plus variance,
    both from the log, as Su et al. choose it."""
    positive = t.weights[t.weights > 0]
    if not len(positive):
        return Rows(top=t.expected)
    # from the median weight up to far above the largest, where nothing is cut
    limits = np.geomspace(np.median(positive), 10 * positive.max(), _LIMITS) ** power
    residual = t.rewards - t.predicted
    best, least = t.expected, np.inf
    for limit in limits:
        weights = shrink(float(limit))
        top = t.expected + weights * residual
        bias = float(((t.weights - weights) * residual).mean())
        error = bias**2 + float(top.var()) / len(top)
        if error < least:
            best, least = top, error
    return Rows(top=best)


ESTIMATORS: Mapping[str, Callable[[Terms], Rows]] = {
    "dm": _dm,
    "ips": _ips,
    "ips-clipped": _clipped,
    "snips": _snips,
    "dr": _dr,
    "switch-dr": _switch,
    "dr-shrunk": _shrunk,
}


BIASED = ("dm", "ips-clipped", "switch-dr", "dr-shrunk")
"""Their intervals are around what they estimate, which is not quite the policy's value."""


def rows_of(estimator: str, terms: Terms, log: BanditLog) -> Rows:
    """The estimator's rows, one a unit: groups of the log are averaged."""
    rows = ESTIMATORS[estimator](terms)
    bottom = None if rows.bottom is None else log.per_unit(rows.bottom)
    return Rows(top=log.per_unit(rows.top), bottom=bottom)
