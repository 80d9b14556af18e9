"""Bandits whose truth is known, for tests and benchmarks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import expit, softmax

from evolver.serving.log import BanditLog
from evolver.serving.policy import Policy, draw

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class TableBandit:
    """A finite population of contexts with the chance of a reward for every action.

    context: N rows. chances: (N, K) chance of reward 1. logging: (N, K) the logging policy.
    """

    context: pl.DataFrame
    names: tuple[str, ...]
    chances: Floats
    logging: Floats
    features: Mapping[str, Floats] = field(default_factory=dict)

    def log(self, n: int, seed: int) -> BanditLog:
        """n decisions of the logging policy in contexts drawn with replacement."""
        rng = np.random.default_rng(seed)
        rows = rng.integers(0, len(self.chances), n)
        actions = draw(self.logging[rows], rng)
        rewards = (rng.random(n) < self.chances[rows, actions]).astype(np.float64)
        return self._log(rows, actions, self.logging[rows, actions], rewards)

    def value(self, policy: Policy) -> float:
        """The true value of a policy: its expected reward over the whole population."""
        rows = np.arange(len(self.chances))
        nothing = np.zeros(len(rows))
        everyone = self._log(rows, nothing.astype(np.int64), nothing + 1.0, nothing)
        return float((policy.probabilities(everyone) * self.chances).sum(axis=1).mean())

    @property
    def logged_value(self) -> float:
        return float((self.logging * self.chances).sum(axis=1).mean())

    @property
    def best_static(self) -> float:
        """The value of the best single action."""
        return float(self.chances.mean(axis=0).max())

    @property
    def best_contextual(self) -> float:
        """The value of the best action in each context; no policy gets more."""
        return float(self.chances.max(axis=1).mean())

    def _log(
        self,
        rows: NDArray[np.int64],
        actions: NDArray[np.int64],
        propensities: Floats,
        rewards: Floats,
    ) -> BanditLog:
        return BanditLog(
            context=self.context[rows],
            actions=actions,
            names=self.names,
            propensities=propensities,
            rewards=rewards,
            positions=np.zeros(len(rows), dtype=np.int64),
            scores={},
            features=self.features,
        )


def synthetic(
    *,
    population: int = 2000,
    actions: int = 8,
    width: int = 3,
    dependence: float = 1.0,
    spread: float = 0.5,
    sharpness: float = 1.0,
    base: float = -1.0,
    curved: bool = False,
    seed: int = 0,
) -> TableBandit:
    """A bandit with normal contexts and logistic rewards; the logging policy is a softmax of its
    own that is only loosely aligned with them.

    dependence: how much the best action depends on the context. spread: how much actions differ
    on the whole; with both 0 all actions are alike. sharpness: of the logging policy, 0 for
    uniform. base: log-odds of a reward. curved: rewards that no linear model fits.
    """
    rng = np.random.default_rng([seed, 3])
    x = rng.standard_normal((population, width))
    bent = np.sin(2 * x) if curved else x
    taste = dependence * rng.standard_normal((width, actions)) / width**0.5
    logits = base + spread * rng.standard_normal(actions) + bent @ taste
    logged = sharpness * rng.standard_normal((population, 1)) * rng.standard_normal(actions)
    logged = logged * 0.5 + sharpness * (x @ rng.standard_normal((width, actions))) / width**0.5
    return TableBandit(
        context=pl.DataFrame({f"x{n}": x[:, n] for n in range(width)}),
        names=tuple(f"a{n}" for n in range(actions)),
        chances=expit(logits),
        logging=0.9 * softmax(logged, axis=1) + 0.1 / actions,
    )
