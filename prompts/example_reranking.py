"""Upstream order, with items held back that are like those placed before them."""

import numpy as np

from evolver.contract import Budget, Float, Params, Ranked

FAMILY = "greedy diversification"
TUNABLES = {"trade": Float(0.0, 0.5, default=0.05)}


class Model:
    def __init__(self, params: Params) -> None:
        self.trade = params.trade

    def fit(self, train: Ranked, budget: Budget) -> None:
        listed = train.items >= 0
        taken = (train.labels * listed).sum(axis=0) + 1.0
        self.worth = taken / (listed.sum(axis=0) + 20.0)  # how often each place is right

    def rerank(self, lists: Ranked, k: int) -> np.ndarray:
        out = np.full((len(lists), k), -1, dtype=np.int32)
        for row in range(len(lists)):
            items, _ = lists.row(row)
            worth = np.resize(self.worth, len(items)) / self.worth.max()
            alike, nearest = lists.likeness(items), np.zeros(len(items))
            for place in range(min(k, len(items))):
                best = int(np.argmax(worth - self.trade * nearest))
                out[row, place] = items[best]
                nearest = np.maximum(nearest, alike[best])
                worth[best] = -np.inf
        return out

    def state(self) -> dict[str, np.ndarray]:
        return {"worth": self.worth}

    def load(self, state: dict[str, np.ndarray]) -> None:
        self.worth = state["worth"]
