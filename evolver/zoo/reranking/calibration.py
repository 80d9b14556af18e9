"""xQuAD over item features: a list that covers what its user likes, in the shares they like it.

Santos, Macdonald and Ounis, "Exploiting Query Reformulations for Web Search Result
Diversification", WWW 2010, with features such as genres as the aspects and their shares in the
user's history as the aspects' weights, as in calibrated recommendation (Steck, RecSys 2018).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evolver.contract import Budget, Float, Params, Ranked

FAMILY = "greedy calibration"
TUNABLES = {"calibration": Float(0.0, 0.8, default=0.1)}


class Model:
    """(1 - calibration) * score + calibration * what the item adds to uncovered aspects."""

    def __init__(self, params: Params) -> None:
        self.calibration = params.calibration

    def fit(self, train: Ranked, budget: Budget) -> None:
        pass

    def rerank(self, lists: Ranked, k: int) -> NDArray[np.int32]:
        out = np.full((len(lists), k), -1, dtype=np.int32)
        shares = lists.shares()
        for row in range(len(lists)):
            items, scores = lists.row(row)
            history = lists.users.history(row)
            if shares is None or not len(history) or not len(items):
                out[row, : min(k, len(items))] = items[:k]
                continue
            taste = np.asarray(shares[history].mean(axis=0)).ravel()
            aspects = np.flatnonzero(taste)
            covers = np.asarray(shares[items][:, aspects].todense())
            chosen = self._choose(scores, covers, taste[aspects], min(k, len(items)))
            out[row, : len(chosen)] = items[chosen]
        return out

    def _choose(
        self,
        scores: NDArray[np.float32],
        covers: NDArray[np.float32],
        taste: NDArray[np.float64],
        k: int,
    ) -> list[int]:
        left = np.ones(len(scores), dtype=bool)
        uncovered = taste.copy()
        chosen: list[int] = []
        for _ in range(k):
            gain = (1 - self.calibration) * scores + self.calibration * (covers @ uncovered)
            best = int(np.argmax(np.where(left, gain, -np.inf)))
            chosen.append(best)
            left[best] = False
            uncovered = uncovered * (1 - covers[best])
        return chosen

    def state(self) -> dict[str, Any]:
        return {}

    def load(self, state: Mapping[str, Any]) -> None:
        pass
