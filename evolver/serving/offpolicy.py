"""Evaluate a policy on a log of another one: estimates, intervals, and what to beware of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evolver.errors import DataError
from evolver.serving.estimators import ESTIMATORS, Rows, rows_of, terms_of, weights_of
from evolver.serving.intervals import (
    Interval,
    bernstein_bound,
    betting_bound,
    bootstrap,
    student,
)
from evolver.serving.log import BanditLog
from evolver.serving.rewards import predicted_rewards

Floats = NDArray[np.float64]
MOST_UNSUPPORTED = 0.01
"""A policy that puts more of its choices than this on actions that were never logged is refused."""
FEW_EFFECTIVE = 50
_FEW_REWARDS = 100
_HEAVY = 0.1
_OFF = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """One estimator's value with its standard error and its two usual intervals."""

    estimator: str
    value: float
    standard_error: float
    student: Interval
    bootstrap: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Support:
    """How much a log can say about a policy.

    effective: Kish's effective sample size, (sum w)^2 / sum w^2. mean_weight: 1 but for luck
    where propensities are right and every action could be logged; weight_error: its standard error.
    unsupported: share of the policy's choices on actions that were never logged at that position.
    """

    rows: int
    units: int
    rewarded: int
    effective: float
    largest_weight: float
    largest_share: float
    mean_weight: float
    weight_error: float
    unsupported: float
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AtPosition:
    """The value of the policy's choices at one position, by IPS and SNIPS."""

    position: str
    rows: int
    logged: float
    ips: float
    snips: float
    student: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class OffPolicy:
    """What a log says about a policy.

    honest: intervals that hold for any sample size if propensities are right. logged: what the
    logging policy earned. gain: the policy less the logging policy, by each estimator, paired.
    """

    level: float
    logged: float
    logged_interval: Interval
    estimates: Mapping[str, Estimate]
    gains: Mapping[str, Estimate]
    honest: Mapping[str, Interval]
    positions: tuple[AtPosition, ...]
    support: Support

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def support_of(log: BanditLog, chances: Floats) -> Support:
    """What the log can say about a policy with these (n, K) chances, whatever the rewards."""
    weights = log.per_unit(weights_of(log, chances))
    total = float(weights.sum())
    seen = (chances * log.seen[log.positions]).sum(axis=1)
    unsupported = float(max(0.0, 1.0 - seen.mean()))
    squares = float((weights**2).sum())
    effective = total**2 / squares if squares > 0 else 0.0
    mean = float(weights.mean())
    error = float(weights.std(ddof=1) / len(weights) ** 0.5) if len(weights) > 1 else np.inf
    share = float(weights.max()) / total if total > 0 else 0.0
    rewarded = int(np.count_nonzero(log.rewards))
    warnings = []
    if effective < FEW_EFFECTIVE:
        warnings.append(
            f"the log is worth {effective:.0f} observations of this policy; intervals by the "
            "normal law mean nothing"
        )
    if share > _HEAVY:
        warnings.append(f"one observation carries {share:.0%} of the weight")
    if abs(mean - 1) > _OFF * max(error, 1e-12):
        warnings.append(
            f"weights average {mean:.3f} ± {error:.3f}, not 1: propensities are wrong, or actions "
            "could not be logged in some contexts"
        )
    if rewarded < _FEW_REWARDS:
        warnings.append(f"only {rewarded} rewards are above 0; intervals are wide")
    if unsupported > 1e-9:
        bound = unsupported * log.most_reward
        warnings.append(
            f"{unsupported:.2%} of its choices fall on actions that were never logged there; "
            f"values may be up to {bound:.2g} too low for that alone"
        )
    return Support(
        rows=len(log),
        units=log.units,
        rewarded=rewarded,
        effective=effective,
        largest_weight=float(weights.max()),
        largest_share=share,
        mean_weight=mean,
        weight_error=error,
        unsupported=unsupported,
        warnings=tuple(warnings),
    )


def evaluate(
    log: BanditLog,
    chances: Floats,
    *,
    estimators: Sequence[str] = tuple(ESTIMATORS),
    predicted: Floats | None = None,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> OffPolicy:
    """Evaluate a policy with (n, K) chances on the log.

    predicted: (n, K) cross-fitted rewards, if they are there already. resamples: 0 leaves the
    bootstrap out. Raises `DataError` where the policy chooses what was never logged.
    """
    refuse_unsupported(log, chances)
    predicted = predicted_rewards(log, seed=seed) if predicted is None else predicted
    terms = terms_of(log, chances, predicted)
    earned = log.per_unit(log.rewards)
    estimates, gains = {}, {}
    for name in estimators:
        rows = rows_of(name, terms, log)
        estimates[name] = _estimate(name, rows, level, resamples, seed)
        paired = Rows(top=rows.influence - earned)
        gains[name] = _estimate(name, paired, level, 0, seed)
    return OffPolicy(
        level=level,
        logged=float(earned.mean()),
        logged_interval=student(earned, level),
        estimates=estimates,
        gains=gains,
        honest=honest_intervals(log, terms.weights, level),
        positions=_positions(log, terms.weights, level),
        support=support_of(log, chances),
    )


def refuse_unsupported(log: BanditLog, chances: Floats) -> None:
    """Raise `DataError` where more than 1% of the choices fall on what was never logged."""
    missing = chances * ~log.seen[log.positions]
    total = float(1.0 - (chances.sum(axis=1) - missing.sum(axis=1)).mean())
    if total <= MOST_UNSUPPORTED:
        return
    by_action = missing.mean(axis=0)
    worst = np.argsort(-by_action, kind="stable")[:3]
    named = [f"{log.names[k]} ({by_action[k]:.1%})" for k in worst if by_action[k] > 0]
    if float(1.0 - chances.sum(axis=1).mean()) > 1e-9:
        named.append("actions that the log does not know")
    raise DataError(
        f"{total:.1%} of the policy's choices fall on actions that were never logged at that "
        f"position: {', '.join(named)}. No log can tell what they earn; forbid them or log them"
    )


def honest_intervals(log: BanditLog, weights: Floats, level: float) -> dict[str, Interval]:
    """Two-sided intervals of the policy's value that hold for any n, from IPS.

    A lower bound comes from w r, which is at least 0. The upper one is the largest reward less
    the lower bound of w (most - r), whose mean is most - value. Clipping weights at sqrt(n) lowers
    both means, so the empirical Bernstein bounds stay valid without a known largest weight.
    """
    miss, most = (1 - level) / 2, log.most_reward
    won = log.per_unit(weights * log.rewards)
    lost = log.per_unit(weights * (most - log.rewards))
    limit = len(won) ** 0.5
    clipped = np.minimum(weights, limit)
    won_clipped = log.per_unit(clipped * log.rewards)
    lost_clipped = log.per_unit(clipped * (most - log.rewards))
    ceiling = limit * most
    return {
        "betting": Interval(
            low=betting_bound(won, 0.0, miss, most),
            high=most - betting_bound(lost, 0.0, miss, most),
        ),
        "bernstein": Interval(
            low=bernstein_bound(won_clipped, 0.0, ceiling, miss),
            high=most - bernstein_bound(lost_clipped, 0.0, ceiling, miss),
        ),
    }


def _estimate(name: str, rows: Rows, level: float, resamples: int, seed: int) -> Estimate:
    values = rows.influence
    n = len(values)
    resampled = None
    if resamples:
        resampled = bootstrap(rows.top, rows.bottom, level=level, resamples=resamples, seed=seed)
    return Estimate(
        estimator=name,
        value=rows.value,
        standard_error=float(values.std(ddof=1) / n**0.5) if n > 1 else np.inf,
        student=student(values, level),
        bootstrap=resampled,
    )


def _positions(log: BanditLog, weights: Floats, level: float) -> tuple[AtPosition, ...]:
    """Position by position, each as a bandit of its own: what stands elsewhere plays no part."""
    if len(log.position_names) < 2:
        return ()
    found = []
    for n, name in enumerate(log.position_names):
        here = log.positions == n
        w, r = weights[here], log.rewards[here]
        ratio = Rows(top=w * r, bottom=w)
        found.append(
            AtPosition(
                position=name,
                rows=int(here.sum()),
                logged=float(r.mean()),
                ips=float((w * r).mean()),
                snips=ratio.value,
                student=student(ratio.influence, level),
            )
        )
    return tuple(found)
