"""What candidates are handed: looking at it must not change it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

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


@given(
    st.lists(st.lists(st.integers(0, 9), max_size=4), min_size=1, max_size=6).flatmap(
        lambda histories: st.tuples(
            st.just(histories), st.lists(st.integers(0, len(histories) - 1), max_size=8)
        )
    )
)
def test_rows_are_taken_with_their_histories(drawn: tuple[list[list[int]], list[int]]) -> None:
    histories, rows = drawn
    indptr = np.cumsum([0, *map(len, histories)])
    users = Users(
        ids=np.arange(len(histories)) + 100,
        known=np.arange(len(histories)) % 2 == 0,
        indptr=indptr,
        items=np.array([item for history in histories for item in history], dtype=np.int32),
        n_items=10,
        times=np.arange(indptr[-1]),
    )
    taken = users.take(np.array(rows, dtype=np.int64))
    assert taken.ids.tolist() == [row + 100 for row in rows]
    assert taken.known.tolist() == [row % 2 == 0 for row in rows]
    assert [taken.history(at).tolist() for at in range(len(rows))] == [histories[r] for r in rows]
    times = [time for row in rows for time in range(indptr[row], indptr[row + 1])]
    assert taken.times is not None
    assert taken.times.tolist() == times
