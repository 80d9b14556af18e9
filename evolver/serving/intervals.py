"""Intervals of a mean: by the normal law, by resampling, and two that hold for any sample size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_law

Floats = NDArray[np.float64]
_BISECTIONS = 60
_MOST_BET = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """From `low` to `high`; infinite where nothing can be said."""

    low: float
    high: float


def student(values: Floats, level: float = 0.95) -> Interval:
    """Student's t interval of the mean of independent values. Holds for large n only: with rare
    large weights it is too narrow, and no sample says so."""
    n = len(values)
    if n < 2:
        return Interval(low=-np.inf, high=np.inf)
    mean = float(values.mean())
    half = float(student_law.ppf((1 + level) / 2, n - 1)) * float(values.std(ddof=1)) / n**0.5
    return Interval(low=mean - half, high=mean + half)


def bootstrap(
    numerator: Floats,
    denominator: Floats | None = None,
    *,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap of mean(numerator) / mean(denominator) (Efron and Tibshirani, 1993)."""
    rng = np.random.default_rng(seed)
    n = len(numerator)
    chunk = max(1, min(resamples, 2_000_000 // n))
    found = []
    for start in range(0, resamples, chunk):
        rows = rng.integers(0, n, size=(min(chunk, resamples - start), n))
        top = numerator[rows].mean(axis=1)
        if denominator is None:
            found.append(top)
            continue
        bottom = denominator[rows].mean(axis=1)
        found.append(np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0))
    low, high = np.quantile(np.concatenate(found), [(1 - level) / 2, (1 + level) / 2])
    return Interval(low=float(low), high=float(high))


def bernstein_bound(values: Floats, low: float, high: float, miss: float) -> float:
    """A lower bound of the mean of independent values in [low, high], missed with chance `miss`
    at most, for any n (Maurer and Pontil, 2009, theorem 4)."""
    n = len(values)
    if n < 2:
        return low
    spread = float(values.var(ddof=1))
    term = float(np.log(2 / miss))
    slack = float(np.sqrt(2 * spread * term / n)) + 7 * (high - low) * term / (3 * (n - 1))
    return max(low, float(values.mean()) - slack)


def betting_bound(values: Floats, low: float, miss: float, scale: float = 1.0) -> float:
    """A lower bound of the mean of values that are at least `low`, missed with chance `miss` at
    most, for any n and without any upper limit on the values.

    Against each candidate mean m a gambler bets that values are higher; the stake depends on
    earlier values only, so were m the mean, the capital would be a supermartingale and reach
    1 / miss with chance `miss` at most (Ville). The bound is the least m that is not so ruled out
    (Waudby-Smith and Ramdas, 2024, and, for weights without limit, Waudby-Smith et al., 2024).
    Values need not be independent: it is enough that each has the same mean given those before, so
    logs of a policy that learned meanwhile may be used in their order. scale: a guess at the size
    of values, which changes how tight the bound is and never whether it holds.
    """
    n = len(values)
    if not n:
        return low
    gains = np.asarray(values, dtype=np.float64) - low
    if gains.min() < 0:
        raise ValueError(f"values must be at least {low}; one is {gains.min() + low}")
    ahead = np.arange(1, n + 1)
    means = (scale / 2 + np.cumsum(gains)) / (ahead + 1)
    spread = (scale**2 / 4 + np.cumsum((gains - means) ** 2)) / (ahead + 1)
    earlier = np.concatenate([[scale**2 / 4], spread[:-1]])
    stake = np.sqrt(2 * np.log(1 / miss) / (n * earlier))
    worth = float(np.log(1 / miss))

    def ruled_out(mean: float) -> bool:
        # capital stays positive since stake x mean is at most _MOST_BET and gains are at least 0
        bets = np.minimum(stake, _MOST_BET / mean) * (gains - mean)
        return bool(np.cumsum(np.log1p(bets)).max() >= worth)

    bottom, top = 0.0, float(gains.mean())
    if top <= 0 or ruled_out(top):
        # The capital against a mean of the sample itself passed the limit on the way: the
        # bound is above the sample's mean; the mean is then a valid, weaker bound.
        return low + max(top, 0.0)
    for _ in range(_BISECTIONS):
        middle = (bottom + top) / 2
        if middle > 0 and ruled_out(middle):
            bottom = middle
        else:
            top = middle
    return low + bottom
