"""How large is a difference, and how large is luck: over users and over training seeds.

Values come as (seeds, users) per candidate: one row for each run, users in one order. Leading axes
are other comparisons, done at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from scipy.stats import t as student

from evolver.metrics.statistics import bootstrap_means

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """Mean of challenger less incumbent, with what it could be off by.

    The squared standard error is `users_variance` (which users were drawn) + `seeds_variance`
    (which seeds were drawn, of both sides). p_value: one-sided, that the true difference is at
    most 0, by Student's t with `freedom` degrees of freedom. Arrays of the leading axes' shape.
    """

    difference: Floats
    users_variance: Floats
    seeds_variance: Floats
    freedom: Floats
    p_value: Floats

    @property
    def standard_error(self) -> Floats:
        return np.sqrt(self.users_variance + self.seeds_variance)


def effect(challenger: Floats, incumbent: Floats) -> Effect:
    """Compare (..., S, n) with (..., R, n), at least two seeds each and two users.

    Users are paired, seeds are not: seed 3 of one candidate has nothing to do with seed 3 of
    another. The degrees of freedom are Welch and Satterthwaite's, so three seeds that differ
    much cannot pass for many. Raises ValueError on fewer.
    """
    users = challenger.shape[-1]
    if min(challenger.shape[-2], incumbent.shape[-2], users, incumbent.shape[-1]) < 2:
        raise ValueError("an effect needs two seeds of each candidate and two users")
    if users != incumbent.shape[-1]:
        raise ValueError(f"{users} users cannot be paired with {incumbent.shape[-1]}")
    differences = challenger.mean(axis=-2) - incumbent.mean(axis=-2)
    over_users = np.asarray(differences.var(axis=-1, ddof=1) / users)
    over_seeds, spread = np.zeros_like(over_users), over_users**2 / (users - 1)
    for side in (challenger, incumbent):
        seeds = side.shape[-2]
        part = side.mean(axis=-1).var(axis=-1, ddof=1) / seeds
        over_seeds = over_seeds + part
        spread = spread + part**2 / (seeds - 1)
    return conclude(np.asarray(differences.mean(axis=-1)), over_users, over_seeds, spread)


def conclude(difference: Floats, over_users: Floats, over_seeds: Floats, spread: Floats) -> Effect:
    """An `Effect` from its parts; `spread`: sum of each squared variance over its freedom."""
    variance = over_users + over_seeds
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = np.where(spread > 0, variance**2 / spread, 1.0)
        score = np.where(
            variance > 0, difference / np.sqrt(variance), np.where(difference > 0, np.inf, -np.inf)
        )
    return Effect(
        difference=difference,
        users_variance=over_users,
        seeds_variance=over_seeds,
        freedom=freedom,
        p_value=np.asarray(student.sf(score, freedom)),
    )


def bootstrap_effect(
    challenger: Floats, incumbent: Floats, *, resamples: int = 10_000, seed: int = 0
) -> Floats:
    """(resamples,) differences of means when users and seeds of both sides are drawn again.

    Seeds are drawn apart from users, so what one seed does for one user is counted with the users.
    Deviations between seeds are widened by sqrt(S / (S - 1)), without which a bootstrap of a few
    values is too narrow (Rao and Wu, 1988).
    """
    means = bootstrap_means(
        challenger.mean(axis=0) - incumbent.mean(axis=0), resamples=resamples, seed=seed
    )
    rng = np.random.default_rng(np.random.SeedSequence([seed, 1]))
    for sign, side in ((1.0, challenger), (-1.0, incumbent)):
        runs = side.mean(axis=1)
        count = len(runs)
        if count > 1:
            deviations = (runs - runs.mean()) * np.sqrt(count / (count - 1))
            picks = rng.integers(0, count, size=(resamples, count))
            means = means + sign * deviations[picks].mean(axis=1)
    return means


def beyond_users(error: float) -> float:
    """The gain that luck in which users were drawn stays under 39 times in 40, from the standard
    error over users of the paired difference. Two candidates meet the same users, so this is much
    less than what redrawing the users does to the mean of either."""
    return float(norm.ppf(0.975)) * error


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseFloor:
    """What one unchanged candidate shows when it is trained again.

    seed_deviation: standard deviation of its mean between seeds. user_error: standard error of
    its mean over users. difference: two sets of `seeds` runs of it differ by less than this 19
    times in 20; a gain below it is not worth believing.
    """

    mean: float
    seed_deviation: float
    user_error: float
    difference: float
    seeds: int
    users: int


def noise_floor(per_seed_per_user: Floats) -> NoiseFloor:
    """Measure the floor from (seeds, users) values of one candidate. Raises ValueError below two
    seeds or two users."""
    values = np.asarray(per_seed_per_user, dtype=np.float64)
    if values.ndim != 2 or min(values.shape) < 2:
        raise ValueError(f"a noise floor needs two seeds and two users, not shape {values.shape}")
    seeds, users = values.shape
    deviation = float(values.mean(axis=1).std(ddof=1))
    return NoiseFloor(
        mean=float(values.mean()),
        seed_deviation=deviation,
        user_error=float(values.mean(axis=0).std(ddof=1) / np.sqrt(users)),
        difference=float(student.ppf(0.975, seeds - 1)) * deviation * float(np.sqrt(2 / seeds)),
        seeds=seeds,
        users=users,
    )
