"""A linear graph filter: no training, one pass over the item-item graph.

In the manner of Shen et al., "How Powerful is Graph Convolution for Recommendation?" (GF-CF),
CIKM 2021, and of Park et al., "Turbo-CF: Matrix Decomposition-Free Graph Filtering for Fast
Recommendation", SIGIR 2024. A history is smoothed by the polynomial

    P - damping * P^2 / (largest eigenvalue of P)

of the graph P = (D_u^-a R D_i^-b)' (D_u^-a R D_i^-b) with its entries raised to a power. The second
term takes away what everybody likes. It lives in the leading eigenvectors, so only these are
kept; on catalogues of up to RANK items it is exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags, vstack

from evolver.contract import Budget, Float, Interactions, Params, Users

FAMILY = "graph filter"
SERVES_UNSEEN = True
TUNABLES = {
    "user_exponent": Float(0.0, 0.8, default=0.5),
    "item_exponent": Float(0.1, 0.7, default=0.4),
    # under 1 weak links count more, over 1 less
    "power": Float(0.3, 2.0, default=0.7, log=True),
    "damping": Float(0.0, 1.0, default=0.5),
}

MAX_LINKS = 100_000_000  # of the whole graph, 8 bytes each; the weakest of an item go first
RANK = 16  # eigenvectors that the second-order term keeps
ROWS = 1024  # items whose links are computed at a time


class Model:
    """Scores = history @ (P - damped second-order term)."""

    def __init__(self, params: Params) -> None:
        self.params = params
        self.graph = csr_matrix((0, 0), dtype=np.float32)
        self.basis: NDArray[np.float32] = np.zeros((0, 0), dtype=np.float32)
        self.second: NDArray[np.float32] = np.zeros(0, dtype=np.float32)
        self.popularity: NDArray[np.float32] = np.zeros(0, dtype=np.float32)

    def fit(self, train: Interactions, budget: Budget) -> None:
        matrix = train.matrix()
        self.popularity = np.bincount(train.items, minlength=train.n_items).astype(np.float32)
        users, items = np.diff(matrix.indptr), np.bincount(matrix.indices, minlength=train.n_items)
        scaled = (
            scale(users, self.params.user_exponent)
            @ matrix
            @ scale(items, self.params.item_exponent)
        ).tocsr()
        self.graph = self._links(scaled)
        self._fit_second_order(np.random.default_rng(budget.seed))

    def _links(self, scaled: csr_matrix) -> csr_matrix:
        """scaled' scaled with its entries raised to the power, row block by row block."""
        columns = scaled.T.tocsr()
        most = max(100, MAX_LINKS // scaled.shape[1])
        parts = []
        for start in range(0, scaled.shape[1], ROWS):
            part = csr_matrix(columns[start : start + ROWS] @ scaled)
            part.data **= self.params.power
            parts.append(strongest(part, most))
        return csr_matrix(vstack(parts, format="csr"), dtype=np.float32)

    def _fit_second_order(self, rng: np.random.Generator) -> None:
        """Leading eigenpairs of the graph by subspace iteration (Halko et al., 2011)."""
        n_items = self.graph.shape[0]
        basis = rng.standard_normal((n_items, min(2 * RANK, n_items)), dtype=np.float32)
        for _ in range(4):
            basis = np.linalg.qr(self.graph @ basis).Q
        small = basis.T @ (self.graph @ basis)
        values, vectors = np.linalg.eigh((small + small.T) / 2)
        values, vectors = values[-RANK:], vectors[:, -RANK:]
        self.basis = basis @ vectors
        self.second = values**2 / max(values[-1], 1e-12)

    def score(self, users: Users) -> NDArray[np.float32]:
        history = users.matrix()
        scores: NDArray[np.float32] = (history @ self.graph).toarray()
        smooth = (history @ self.basis) * (self.params.damping * self.second)
        scores -= smooth @ self.basis.T
        scores[np.diff(users.indptr) == 0] = self.popularity
        return scores

    def state(self) -> dict[str, Any]:
        return {
            "indptr": self.graph.indptr,
            "indices": self.graph.indices,
            "links": self.graph.data,
            "basis": self.basis,
            "second": self.second,
            "popularity": self.popularity,
        }

    def load(self, state: Mapping[str, Any]) -> None:
        arrays = {name: np.asarray(value) for name, value in state.items()}
        self.basis, self.second = arrays["basis"], arrays["second"]
        self.popularity = arrays["popularity"]
        parts = (arrays["links"], arrays["indices"], arrays["indptr"])
        self.graph = csr_matrix(parts, shape=(len(self.popularity), len(self.popularity)))


def scale(degrees: NDArray[np.int64], exponent: float) -> csr_matrix:
    """The diagonal matrix degrees ** -exponent; nodes without links stay as they are."""
    return diags(np.maximum(degrees, 1).astype(np.float32) ** -exponent, format="csr")


def strongest(links: csr_matrix, most: int) -> csr_matrix:
    """The same rows with at most the `most` largest entries of each."""
    if int(np.diff(links.indptr).max(initial=0)) <= most:
        return links
    keep = np.ones(links.nnz, dtype=bool)
    for row in np.flatnonzero(np.diff(links.indptr) > most):
        span = slice(links.indptr[row], links.indptr[row + 1])
        weakest = np.argpartition(-links.data[span], most)[most:]
        keep[span.start + weakest] = False
    indptr = np.concatenate([[0], np.cumsum(keep)])[links.indptr]
    return csr_matrix((links.data[keep], links.indices[keep], indptr), shape=links.shape)
