"""Learn a policy from a log: one learner, or the one that held-out rows of it speak for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from evolver.errors import UsageError
from evolver.serving.estimators import rows_of, terms_of
from evolver.serving.evolution import covariance_matrix, cross_entropy
from evolver.serving.gradient import policy_gradient
from evolver.serving.log import BanditLog
from evolver.serving.policy import SoftmaxPolicy
from evolver.serving.problem import Problem, Settings, prepare
from evolver.serving.rewards import predicted_rewards

Floats = NDArray[np.float64]
LEARNERS: Mapping[str, Callable[[Problem, Settings, int], Floats]] = {
    "cem": cross_entropy,
    "cmaes": covariance_matrix,
    "gradient": policy_gradient,
}
CHOICES: tuple[Settings, ...] = (
    Settings(learner="cem"),
    Settings(learner="cmaes"),
    Settings(learner="gradient", stay=0.03),
    Settings(learner="gradient"),
)
"""What `choose` tries by default."""


def learn(
    log: BanditLog, settings: Settings, *, one_hot: bool | None = None, seed: int = 0
) -> SoftmaxPolicy:
    """A policy learned on all rows of the log. Same log, settings and seed: same policy.

    Raises `DataError` where the log has nothing to learn from.
    """
    problem = prepare(log, settings, one_hot=one_hot, seed=seed)
    return problem.policy(LEARNERS[settings.learner](problem, settings, seed))


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Settings with what they got on rows that they did not learn from, less one standard error."""

    settings: Settings
    worth: float


def choose(
    log: BanditLog,
    tried: Sequence[Settings] = CHOICES,
    *,
    one_hot: bool | None = None,
    folds: int = 2,
    seed: int = 0,
) -> tuple[Choice, ...]:
    """The settings from best to worst, cross-validated on this log by DR.

    What a choice is worth here is optimistic once it is the best of several: judge the policy on
    other rows. Raises `UsageError` on no settings.
    """
    if not tried:
        raise UsageError("no learner to choose from")
    predicted = predicted_rewards(log, seed=seed)
    fold = folds_of(log, folds, seed)
    found = []
    for settings in tried:
        values = np.empty(log.units)
        for held in range(folds):
            here = fold == held
            policy = learn(log.take(~here), settings, one_hot=one_hot, seed=seed)
            rest = log.take(here)
            terms = terms_of(rest, policy.probabilities(rest), predicted[here])
            units = np.unique(np.flatnonzero(here) if log.groups is None else log.groups[here])
            values[units] = rows_of("dr", terms, rest).influence
        error = float(values.std(ddof=1)) / len(values) ** 0.5
        found.append(Choice(settings=settings, worth=float(values.mean()) - error))
    return tuple(sorted(found, key=lambda c: -c.worth))


def learn_best(
    log: BanditLog,
    tried: Sequence[Settings] = CHOICES,
    *,
    explore: float = 0.0,
    one_hot: bool | None = None,
    seed: int = 0,
) -> tuple[SoftmaxPolicy, Settings]:
    """Choose settings by cross-validation, then learn with them on all rows."""
    tried = [replace(settings, explore=explore) for settings in tried]
    best = (
        choose(log, tried, one_hot=one_hot, seed=seed)[0].settings if len(tried) > 1 else tried[0]
    )
    return learn(log, best, one_hot=one_hot, seed=seed), best


def folds_of(log: BanditLog, folds: int, seed: int) -> NDArray[np.int64]:
    """(n,) fold of each row; rows of a group lie in one fold, and folds are of equal size."""
    by_unit = np.random.default_rng([seed, 7]).permutation(log.units) % folds
    return np.asarray(by_unit if log.groups is None else by_unit[log.groups], dtype=np.int64)


def halves(
    log: BanditLog, share: float, seed: int, *, ordered: bool = False
) -> tuple[BanditLog, BanditLog]:
    """A log to learn on, and one with `share` of the units to judge on; groups are not torn apart.

    ordered: the last units of the log are for judging, as they would come in practice.
    Raises `UsageError` where a part would be empty.
    """
    held = round(log.units * share)
    if not 0 < held < log.units:
        raise UsageError(f"{log.units} rows or groups cannot be split with a share of {share:g}")
    if ordered:
        first = np.arange(log.units)
        if log.groups is not None:
            first = np.full(log.units, len(log))
            np.minimum.at(first, log.groups, np.arange(len(log)))
        order = np.argsort(first, kind="stable")
    else:
        order = np.random.default_rng([seed, 11]).permutation(log.units)
    judged = np.zeros(log.units, dtype=bool)
    judged[order[log.units - held :]] = True
    rows = judged if log.groups is None else judged[log.groups]
    return log.take(~rows), log.take(rows)
