"""MMR: each next item is the one that is best liked and least like what is on the list already.

Carbonell and Goldstein, "The Use of MMR, Diversity-Based Reranking for Reordering Documents and
Producing Summaries", SIGIR 1998. Alike are items whose features point the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evolver.contract import Budget, Float, Params, Ranked

FAMILY = "greedy diversification"
TUNABLES = {"relevance": Float(0.3, 1.0, default=0.9)}


class Model:
    """Marginal relevance: relevance * score - (1 - relevance) * likeness to the nearest chosen."""

    def __init__(self, params: Params) -> None:
        self.relevance = params.relevance

    def fit(self, train: Ranked, budget: Budget) -> None:
        pass

    def rerank(self, lists: Ranked, k: int) -> NDArray[np.int32]:
        out = np.full((len(lists), k), -1, dtype=np.int32)
        for row in range(len(lists)):
            items, scores = lists.row(row)
            chosen = self._choose(scores, lists.likeness(items), min(k, len(items)))
            out[row, : len(chosen)] = items[chosen]
        return out

    def _choose(self, scores: NDArray[np.float32], alike: NDArray[np.float32], k: int) -> list[int]:
        """The places of the items, in the order in which they are chosen."""
        left = np.ones(len(scores), dtype=bool)
        nearest = np.zeros(len(scores), dtype=np.float32)
        chosen: list[int] = []
        for _ in range(k):
            gain = self.relevance * scores - (1 - self.relevance) * nearest
            best = int(np.argmax(np.where(left, gain, -np.inf)))
            chosen.append(best)
            left[best] = False
            nearest = np.maximum(nearest, alike[best])
        return chosen

    def state(self) -> dict[str, Any]:
        return {}

    def load(self, state: Mapping[str, Any]) -> None:
        pass
