"""Items that were taken by the same people, weighted down for popular items."""

import numpy as np

from evolver.contract import Budget, Float, Interactions, Params, Users

FAMILY = "item neighbours"
SERVES_UNSEEN = True
TUNABLES = {"damping": Float(0.0, 1.0, default=0.5)}


class Model:
    def __init__(self, params: Params) -> None:
        self.damping = params.damping

    def fit(self, train: Interactions, budget: Budget) -> None:
        taken = train.matrix()
        weight = np.maximum(train.popularity(), 1.0) ** -self.damping
        together = (taken.T @ taken).multiply(weight[:, None]).multiply(weight[None, :]).tocsr()
        together.setdiag(0.0)
        together.eliminate_zeros()
        self.data, self.indices, self.indptr = together.data, together.indices, together.indptr

    def score(self, users: Users) -> np.ndarray:
        from scipy.sparse import csr_matrix

        shape = (users.n_items, users.n_items)
        similar = csr_matrix((self.data, self.indices, self.indptr), shape=shape)
        return np.asarray((users.matrix() @ similar).todense(), dtype=np.float32)

    def state(self) -> dict[str, np.ndarray]:
        return {"data": self.data, "indices": self.indices, "indptr": self.indptr}

    def load(self, state: dict[str, np.ndarray]) -> None:
        self.data, self.indices, self.indptr = state["data"], state["indices"], state["indptr"]
