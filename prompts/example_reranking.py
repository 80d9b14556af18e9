"""Items of a list by what ranking gave them, less what popular items gain by being popular."""

import numpy as np

from evolver.contract import Budget, Float, Params, Ranked

FAMILY = "popularity damping"
TUNABLES = {"damping": Float(0.0, 0.5, default=0.05)}


class Model:
    def __init__(self, params: Params) -> None:
        self.damping = params.damping

    def fit(self, train: Ranked, budget: Budget) -> None:
        pass

    def rerank(self, lists: Ranked, k: int) -> np.ndarray:
        rare = -np.log1p(lists.popularity) / np.log1p(lists.popularity.max())
        out = np.full((len(lists), k), -1, dtype=np.int32)
        for row in range(len(lists)):
            items, scores = lists.row(row)
            order = np.argsort(-(scores + self.damping * rare[items]), kind="stable")[:k]
            out[row, : len(order)] = items[order]
        return out

    def state(self) -> dict[str, np.ndarray]:
        return {}

    def load(self, state: dict[str, np.ndarray]) -> None:
        pass
