"""Is a difference between two candidates more than luck? Paired, over users."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
_FEW = 4096  # below it, starting each run costs more than drawing
_CHUNK = 250  # resamples that share one random stream; changing it changes the answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The mean of paired differences with a percentile-bootstrap interval.

    p_value: one-sided, that the true mean difference is at most `margin`; never below
    1 / (resamples + 1).
    """

    difference: float
    low: float
    high: float
    p_value: float
    level: float
    margin: float
    standard_error: float
    pairs: int
    resamples: int


def paired_bootstrap(
    a: ArrayLike,
    b: ArrayLike,
    *,
    resamples: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
    margin: float = 0.0,
) -> Comparison:
    """Compare a with b, values of the same users in the same order (Efron and Tibshirani, 1993).

    Equal arguments give an equal answer. Raises ValueError on arrays that
    do not pair up, are empty or hold what is not finite.
    """
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.shape != second.shape or first.ndim != 1 or not len(first):
        raise ValueError(f"cannot pair values of shapes {first.shape} and {second.shape}")
    differences = first - second
    if not np.isfinite(differences).all():
        raise ValueError("values to compare must be finite")
    if not 0 < level < 1 or resamples < 1:
        raise ValueError(f"level {level} must lie between 0 and 1, resamples {resamples} above 0")
    means = bootstrap_means(differences, resamples=resamples, seed=seed)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Comparison(
        difference=float(differences.mean()),
        low=float(low),
        high=float(high),
        p_value=float((1 + np.count_nonzero(means <= margin)) / (resamples + 1)),
        level=level,
        margin=margin,
        standard_error=float(means.std()),
        pairs=len(differences),
        resamples=resamples,
    )


def bootstrap_means(values: Floats, *, resamples: int = 10_000, seed: int = 0) -> Floats:
    """(resamples,) means of len(values) draws with replacement.

    Exact, and fast for many users. Most of them score alike under two candidates, so how many draws
    fall on a 0 is one number. The rest is cut into runs whose lengths are powers of two: how many
    draws fall into each is multinomial, and where in a run is a few random bits.
    """
    filled = np.ascontiguousarray(values[values != 0.0])
    if not len(filled):
        return np.zeros(resamples)
    chunks = [min(_CHUNK, resamples - start) for start in range(0, resamples, _CHUNK)]
    streams = [np.random.SFC64(s) for s in np.random.SeedSequence(seed).spawn(len(chunks))]
    draw = _draw_few if len(values) < _FEW else _draw_many
    pairs = zip(streams, chunks, strict=True)
    return np.concatenate([draw(filled, len(values), *pair) for pair in pairs]) / len(values)


def _draw_few(filled: Floats, n: int, bits: np.random.SFC64, count: int) -> Floats:
    """(count,) sums of n draws each, all at once; what is drawn beyond `filled` is a 0."""
    places = np.random.Generator(bits).integers(0, n, size=(count, n))
    return np.asarray(np.append(filled, 0.0).take(places, mode="clip").sum(axis=1))


def _draw_many(filled: Floats, n: int, bits: np.random.SFC64, count: int) -> Floats:
    """The same, one run of a power of two at a time."""
    runs = _power_of_two_runs(len(filled))
    ends = np.cumsum([0, *runs])
    chances = np.array([*runs, n - len(filled)]) / n
    counts = np.random.Generator(bits).multinomial(n, chances, size=count)
    longest = int(counts[:, :-1].max())
    places, drawn = np.empty(longest, dtype=np.intp), np.empty(longest)
    sums = np.zeros(count)
    for run, length in enumerate(runs):
        part = filled[ends[run] : ends[run + 1]]
        for row, size in enumerate(counts[:, run].tolist()):
            words = bits.random_raw(-(-size // 4)).view(np.uint16)[:size]
            np.bitwise_and(words, length - 1, out=places[:size])
            # "clip" skips a check and a copy; the bits cannot point outside the run
            sums[row] += part.take(places[:size], mode="clip", out=drawn[:size]).sum()
    return sums


def _power_of_two_runs(n: int) -> list[int]:
    """Lengths that add up to n, each a power of two that 16 random bits can point into."""
    runs = [1 << 16] * (n >> 16)
    return runs + [1 << bit for bit in reversed(range(16)) if n >> bit & 1]


def mean_interval(values: ArrayLike, level: float = 0.95) -> tuple[float, float, float]:
    """Mean with its normal interval: (mean, low, high). One value has an interval of no width.

    Meant for many users; for a handful of seeds it is too narrow. Raises ValueError when empty.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not len(array):
        raise ValueError(f"an interval needs a row of values, not shape {array.shape}")
    mean = float(array.mean())
    error = float(array.std(ddof=1) / np.sqrt(len(array))) if len(array) > 1 else 0.0
    half = NormalDist().inv_cdf((1 + level) / 2) * error
    return mean, mean - half, mean + half
