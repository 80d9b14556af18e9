"""A determinantal point process: the list whose items are good and span the most.

Chen, Zhang and Zhou, "Fast Greedy MAP Inference for Determinantal Point Process to Improve
Recommendation Diversity", NeurIPS 2018. The kernel is quality * likeness * quality; each next item
is the one that raises the determinant most, found by a Cholesky factor that grows with the list.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evolver.contract import Budget, Float, Params, Ranked

FAMILY = "determinantal point process"
TUNABLES = {
    "sharpness": Float(0.5, 20.0, default=6.0, log=True),  # how much more a better score counts
    "likeness": Float(0.0, 0.99, default=0.5),  # how much items with equal features get in the way
}

LEAST = 1e-9


class Model:
    """Greedy MAP; where nothing adds to the determinant any more, the rest comes by score."""

    def __init__(self, params: Params) -> None:
        self.params = params

    def fit(self, train: Ranked, budget: Budget) -> None:
        pass

    def rerank(self, lists: Ranked, k: int) -> NDArray[np.int32]:
        out = np.full((len(lists), k), -1, dtype=np.int32)
        for row in range(len(lists)):
            items, scores = lists.row(row)
            quality = np.exp(0.5 * self.params.sharpness * scores.astype(np.float64))
            alike = self.params.likeness * lists.likeness(items).astype(np.float64)
            np.fill_diagonal(alike, 1.0)
            chosen = greedy(quality[:, None] * alike * quality, min(k, len(items)))
            rest = [place for place in range(len(items)) if place not in set(chosen)]
            full = (chosen + rest)[:k]
            out[row, : len(full)] = items[full]
        return out

    def state(self) -> dict[str, Any]:
        return {}

    def load(self, state: Mapping[str, Any]) -> None:
        pass


def greedy(kernel: NDArray[np.float64], k: int) -> list[int]:
    """The places of at most k items that make the determinant large, in the order chosen."""
    size = len(kernel)
    factors = np.zeros((k, size))
    gains = np.diagonal(kernel).copy()
    chosen: list[int] = []
    for step in range(k):
        best = int(np.argmax(gains))
        if gains[best] < LEAST:
            break
        chosen.append(best)
        factor = (kernel[best] - factors[:step].T @ factors[:step, best]) / np.sqrt(gains[best])
        factors[step] = factor
        gains = gains - factor**2
        gains[chosen] = -np.inf
    return chosen
