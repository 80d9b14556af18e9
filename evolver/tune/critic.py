"""What a point is likely to be worth, from all that was ever observed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from evolver.tune.encoding import Decisions, centred_ranks
from evolver.tune.experience import Experience, likeness
from evolver.tune.sampling import filled

SHARED = 0.7
"""How much of what decides a point's worth is common to runs on equal data."""
MOST = 200
"""So many of an earlier run's observations are used, the latest: the cost is cubic."""


class Critic:
    """One draw from the posterior over value functions that are linear in a point's decisions and
    in pairs of them; the randomised value function of Osband et al. (2016).

    A policy that is greedy for a draw explores just where the observations leave doubt. Rewards
    are ranks within a run. `runs` are the earlier ones and, last, the one that is searched; effects
    are shared between runs as far as their data is alike, but each has its own level. `doubt`
    scales the spread of the draws: 0 is the posterior mean.
    """

    def __init__(
        self,
        decisions: Decisions,
        runs: Sequence[Experience],
        rng: np.random.Generator,
        *,
        doubt: float = 1.0,
        single: float = 1.0,
        pairs: float = 1.0,
        level: float = 0.3,
        noise: float = 0.1,
    ) -> None:
        kept = [*(run.observed[-MOST:] for run in runs[:-1]), runs[-1].observed]
        self._variances = single, pairs
        self._doubt = doubt
        self._alike = SHARED * np.array(
            [[likeness(a.regime, b.regime) for b in runs] for a in runs]
        ) + (1 - SHARED) * np.eye(len(runs))
        self._which = np.repeat(np.arange(len(runs)), [len(observed) for observed in kept])
        self._rows = _unit(decisions.rows([o.point for observed in kept for o in observed]))
        rewards = np.concatenate(
            [centred_ranks([score for _, score in filled(observed)]) for observed in kept]
        ).astype(np.float64)

        # A draw from the prior for every run, made to agree with what was observed (Matheron).
        root = np.linalg.cholesky(self._alike)
        n, width, count = len(self._rows), decisions.width, len(runs)
        self._level = rng.normal(0, level**0.5, count)
        self._single = root @ rng.normal(0, single**0.5, (count, width))
        self._pairs = np.einsum(
            "rs,sij->rij", root, rng.normal(0, pairs**0.5, (count, width, width))
        )
        same = self._which[:, None] == self._which[None, :]
        covariance = self._alike[np.ix_(self._which, self._which)] * self._kernel(self._rows)
        covariance += level * same + noise * np.eye(n)
        drawn = rng.normal(0, noise**0.5, n)
        for run in range(count):
            mine = self._which == run
            drawn[mine] += self._prior(self._rows[mine], run)
        both = np.linalg.solve(covariance, np.stack([rewards, drawn], axis=1))
        own = self._alike[-1, self._which]
        self._mean, self._correction = (own[:, None] * both).T

    def __call__(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """(n,) worth in the latest run of points with these (n, width) features, up to a constant
        of the run."""
        told = _unit(rows)
        kernel = self._kernel(told)
        doubt = self._prior(told, -1) - kernel @ self._correction
        return np.asarray(kernel @ self._mean + self._doubt * doubt)

    def _kernel(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        single, pairs = self._variances
        shared = rows @ self._rows.T
        return np.asarray(single * shared + pairs * shared**2)

    def _prior(self, rows: NDArray[np.float64], run: int) -> NDArray[np.float64]:
        """What the draw from the prior says of these points in a run."""
        paired = ((rows @ self._pairs[run]) * rows).sum(axis=1)
        return np.asarray(self._level[run] + rows @ self._single[run] + paired)


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    wide = rows.astype(np.float64)
    return np.asarray(wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-9))
