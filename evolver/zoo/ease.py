"""EASE: a linear item-to-item model with a closed-form solution and one regulariser.

Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019. It needs a dense item-item
matrix: 4 * n_items ** 2 bytes, about three times that while fitting.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from evolver.contract import Budget, Float, Interactions, Params, Users

FAMILY = "linear autoencoder"
SERVES_UNSEEN = True
TUNABLES = {"l2": Float(10.0, 5_000.0, default=300.0, log=True)}

ROWS = 1024  # rows of the Gram matrix that are made dense at a time


class Model:
    """Scores = history @ B, where B minimises |X - X B|^2 + l2 |B|^2 with a zero diagonal."""

    def __init__(self, params: Params) -> None:
        self.l2 = params.l2
        self.weights: NDArray[np.float32] = np.zeros((0, 0), dtype=np.float32)
        self.popularity: NDArray[np.float32] = np.zeros(0, dtype=np.float32)

    def fit(self, train: Interactions, budget: Budget) -> None:
        torch.set_num_threads(budget.threads)
        matrix = train.matrix()
        columns = matrix.T.tocsr()
        gram = torch.empty((train.n_items, train.n_items), dtype=torch.float32)
        for start in range(0, train.n_items, ROWS):
            block = (columns[start : start + ROWS] @ matrix).toarray()
            gram[start : start + ROWS] = torch.from_numpy(block)
        gram.diagonal().add_(self.l2)
        lower = torch.linalg.cholesky(gram.to(budget.device))
        del gram
        inverse = torch.cholesky_inverse(lower)
        del lower
        # B[i, j] = -P[i, j] / P[j, j] off the diagonal, P being the inverse
        inverse /= -inverse.diagonal().clone()
        inverse.fill_diagonal_(0.0)
        self.weights = inverse.cpu().numpy()
        self.popularity = np.bincount(train.items, minlength=train.n_items).astype(np.float32)

    def score(self, users: Users) -> NDArray[np.float32]:
        scores: NDArray[np.float32] = users.matrix() @ self.weights
        scores[np.diff(users.indptr) == 0] = self.popularity
        return scores

    def scorer(self) -> torch.nn.Module:
        return Scorer(torch.from_numpy(self.weights), torch.from_numpy(self.popularity))

    def state(self) -> dict[str, Any]:
        return {"weights": self.weights, "popularity": self.popularity}

    def load(self, state: Mapping[str, Any]) -> None:
        self.weights = np.asarray(state["weights"])
        self.popularity = np.asarray(state["popularity"])


class Scorer(torch.nn.Module):
    """`Model.score` as a graph: (b, n_items) histories of ones and zeros to scores."""

    weights: torch.Tensor
    popularity: torch.Tensor

    def __init__(self, weights: torch.Tensor, popularity: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("weights", weights)
        self.register_buffer("popularity", popularity)

    def forward(self, history: torch.Tensor) -> torch.Tensor:
        empty = history.sum(1, keepdim=True) == 0
        return torch.where(empty, self.popularity, history @ self.weights)
