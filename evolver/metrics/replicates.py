"""What a handful of repeated experiments can show: intervals, exact tests, corrections.

The unit is a replicate, such as one search with one seed, never a user: what one search found says
nothing of how the next one would have fared.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm
from scipy.stats import t as student

Floats = NDArray[np.float64]
EXACT = 16
"""Up to so many replicates every pattern of signs is counted; beyond, they are drawn."""
_DRAWN = 100_000
_ROUNDING = 1e-12


def mean_with_interval(
    values: ArrayLike, *, level: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> tuple[float, float | None, float | None]:
    """(mean, low, high) of a few replicates by bootstrap; no interval for fewer than two.

    A plain bootstrap of so few values is far too narrow, so deviations are widened by
    sqrt(n / (n - 1)) (Rao and Wu, 1988) and stretched from the normal to Student's t with n - 1
    degrees of freedom. Raises ValueError where nothing is given or a value is not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not len(array) or not np.isfinite(array).all():
        raise ValueError("an interval over replicates needs finite values in one row")
    mean, count = float(array.mean()), len(array)
    if count < 2:
        return mean, None, None
    places = np.random.default_rng(seed).integers(0, count, size=(resamples, count))
    deviations = (array - mean)[places].mean(axis=1)
    tail = 0.5 + level / 2
    widen = np.sqrt(count / (count - 1)) * student.ppf(tail, count - 1) / norm.ppf(tail)
    low, high = np.quantile(deviations, [1 - tail, tail]) * widen
    return mean, mean + float(low), mean + float(high)


def sign_flip_p(differences: ArrayLike, *, seed: int = 0) -> float:
    """Two-sided p-value of paired differences under random signs (Fisher, 1935).

    If neither side is better, each difference was as likely with the other sign: counted is the
    share of all 2^n patterns of signs whose mean is at least as far from 0 as the one seen. Beyond
    `EXACT` differences patterns are drawn, the one seen among them. Raises ValueError on none.
    """
    array = np.asarray(differences, dtype=np.float64)
    if array.ndim != 1 or not len(array) or not np.isfinite(array).all():
        raise ValueError("a sign-flip test needs finite differences in one row")
    count = len(array)
    if count <= EXACT:
        patterns = np.arange(2**count)[:, None] >> np.arange(count) & 1
        signs = 1.0 - 2.0 * patterns
        extra = 0
    else:
        signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(_DRAWN, count))
        extra = 1
    seen = abs(array.sum())
    as_far = np.abs(signs @ array) >= seen - _ROUNDING * max(1.0, float(np.abs(array).sum()))
    return float((np.count_nonzero(as_far) + extra) / (len(signs) + extra))


def smallest_p(count: int) -> float:
    """The smallest p-value that `sign_flip_p` can give for so many differences."""
    return min(1.0, 2.0 / 2.0**count) if count <= EXACT else 1.0 / (_DRAWN + 1)


def replicates_needed(comparisons: int, level: float = 0.05) -> int:
    """The fewest replicates with which a corrected sign-flip test can reach `level` at all."""
    return next(n for n in range(1, 64) if smallest_p(n) * max(comparisons, 1) <= level)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for how many there are, in their order (Holm, 1979).

    Reject those at most `level`: the chance of any false rejection stays below it.
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = largest
    return corrected
