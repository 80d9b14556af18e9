"""Popularity: everybody gets what most people took, recent interactions counting more.

The baseline that every recommender must beat; see Ji et al., "A Re-visit of the Popularity
Baseline in Recommender Systems", SIGIR 2020, for why recency belongs in it. Where the data has no
times, every interaction counts the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evolver.contract import Budget, Float, Interactions, Params, Users

FAMILY = "popularity"
SERVES_UNSEEN = True
TUNABLES = {"half_life_days": Float(1.0, 10_000.0, default=365.0, log=True)}

SECONDS_PER_DAY = 86_400.0


class Model:
    """Scores every item by how often it was taken, halved for each half-life that passed since."""

    def __init__(self, params: Params) -> None:
        self.half_life = params.half_life_days * SECONDS_PER_DAY
        self.popularity: NDArray[np.float32] = np.zeros(0, dtype=np.float32)

    def fit(self, train: Interactions, budget: Budget) -> None:
        weights = None
        if train.times is not None and len(train):
            age = (train.times.max() - train.times).astype(np.float64)
            weights = np.exp2(-age / self.half_life)
        counts = np.bincount(train.items, weights=weights, minlength=train.n_items)
        self.popularity = counts.astype(np.float32)

    def score(self, users: Users) -> NDArray[np.float32]:
        return np.tile(self.popularity, (len(users), 1))

    def state(self) -> dict[str, Any]:
        return {"popularity": self.popularity}

    def load(self, state: Mapping[str, Any]) -> None:
        self.popularity = np.asarray(state["popularity"])
