"""What candidates are handed: looking at it must not change it."""

from __future__ import annotations

import numpy as np

from evolver.contract import Users


def test_the_matrix_of_histories_leaves_their_order_alone() -> None:
    items = np.array([5, 2, 5, 4], dtype=np.int32)
    items.setflags(write=False)  # as when memory-mapped
    users = Users(
        ids=np.array([0, 1]),
        known=np.array([True, True]),
        indptr=np.array([0, 3, 4]),
        items=items,
        n_items=6,
    )
    assert users.matrix().toarray().tolist() == [[0, 0, 1, 0, 0, 1], [0, 0, 0, 0, 1, 0]]
    assert users.history(0).tolist() == [5, 2, 5]
