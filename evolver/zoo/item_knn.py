"""Item k-nearest neighbours: recommend what resembles, by who took it, what the user took.

Sarwar et al., "Item-based Collaborative Filtering Recommendation Algorithms", WWW 2001, with the
shrinkage of Koren and Bell, "Advances in Collaborative Filtering", 2011, and the asymmetric cosine
of Aiolli, "Efficient Top-N Recommendation for Very Large Scale Binary Rated Datasets", RecSys 2013.
Only the nearest neighbours of each item are kept, so large catalogues fit in memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags

from evolver.contract import Budget, Float, Int, Interactions, Params, Users

FAMILY = "neighbourhood"
SERVES_UNSEEN = True
TUNABLES = {
    "neighbours": Int(10, 1_000, default=200, log=True),
    "shrinkage": Float(0.1, 1_000.0, default=10.0, log=True),
    # 0: an active user's opinion counts in full; 1: it is shared out among all that they took
    "user_weighting": Float(0.0, 1.0, default=0.5),
    # 0.5 is the cosine; smaller values favour popular items
    "popularity_penalty": Float(0.0, 0.8, default=0.5),
}

ROWS = 1024  # items whose similarities are computed at a time


class Model:
    """Scores = history @ S, where row i of S holds the similarities of i to its neighbours."""

    def __init__(self, params: Params) -> None:
        self.params = params
        self.similarity = csr_matrix((0, 0), dtype=np.float32)
        self.popularity: NDArray[np.float32] = np.zeros(0, dtype=np.float32)

    def fit(self, train: Interactions, budget: Budget) -> None:
        matrix = train.matrix()
        self.popularity = np.bincount(train.items, minlength=train.n_items).astype(np.float32)
        sizes = np.maximum(np.diff(matrix.indptr), 1).astype(np.float32)
        weighted = csr_matrix(diags(sizes**-self.params.user_weighting) @ matrix)
        norms = np.asarray(weighted.sum(axis=0), dtype=np.float32).ravel()
        columns = matrix.T.tocsr()
        kept = [
            self._neighbours(csr_matrix(columns[start : start + ROWS] @ weighted), norms, start)
            for start in range(0, train.n_items, ROWS)
        ]
        items, scores, counts = (np.concatenate(parts) for parts in zip(*kept, strict=True))
        indptr = np.concatenate([[0], np.cumsum(counts)])
        shape = (train.n_items, train.n_items)
        # found as the neighbours of each target; a history is multiplied from the left
        self.similarity = csr_matrix((scores, items, indptr), shape=shape).T.tocsr()

    def _neighbours(
        self, together: csr_matrix, norms: NDArray[np.float32], start: int
    ) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.int64]]:
        """The nearest items to each of a block of targets: items, similarities, counts."""
        penalty, shrinkage = self.params.popularity_penalty, self.params.shrinkage
        items, scores = [], []
        for row in range(together.shape[0]):
            span = slice(together.indptr[row], together.indptr[row + 1])
            others, shared = together.indices[span], together.data[span]
            scale = norms[start + row] ** penalty * norms[others] ** (1.0 - penalty)
            similar = shared / (scale + shrinkage)
            similar[others == start + row] = 0.0
            if len(similar) > self.params.neighbours:
                best = np.argpartition(-similar, self.params.neighbours)[: self.params.neighbours]
                others, similar = others[best], similar[best]
            items.append(others.astype(np.int32))
            scores.append(similar.astype(np.float32))
        counts = np.array([len(part) for part in items], dtype=np.int64)
        return np.concatenate(items), np.concatenate(scores), counts

    def score(self, users: Users) -> NDArray[np.float32]:
        scores: NDArray[np.float32] = (users.matrix() @ self.similarity).toarray()
        scores[np.diff(users.indptr) == 0] = self.popularity
        return scores

    def state(self) -> dict[str, Any]:
        return {
            "indptr": self.similarity.indptr,
            "indices": self.similarity.indices,
            "similarity": self.similarity.data,
            "popularity": self.popularity,
        }

    def load(self, state: Mapping[str, Any]) -> None:
        self.popularity = np.asarray(state["popularity"])
        parts = (state["similarity"], state["indices"], state["indptr"])
        self.similarity = csr_matrix(parts, shape=(len(self.popularity), len(self.popularity)))
