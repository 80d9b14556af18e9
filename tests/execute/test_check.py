"""Lists from a worker are checked before anything is measured on them."""

from __future__ import annotations

import numpy as np
import pytest

from evolver.execute.check import BadOutput, checked_lists
from evolver.execute.queries import Queries


def queries(*histories: list[int], repeats: bool = False) -> Queries:
    return Queries(
        ids=np.arange(100, 100 + len(histories)),
        known=np.ones(len(histories), dtype=np.bool_),
        indptr=np.cumsum([0, *map(len, histories)]).astype(np.int64),
        items=np.array([item for one in histories for item in one], dtype=np.int32),
        times=None,
        n_items=6,
        repeats=repeats,
    )


def packed(*lists: list[int]) -> bytes:
    return np.array(lists, dtype="<i4").tobytes()


def test_good_lists_pass() -> None:
    lists = checked_lists(packed([3, 1, 2], [5, -1, -1]), queries([0], [0, 1, 2, 3, 4]), 3)
    assert lists.tolist() == [[3, 1, 2], [5, -1, -1]]
    assert lists.dtype == np.int32
    lists[0, 0] = 4  # it is ours to change


def test_no_rows_pass() -> None:
    assert checked_lists(b"", queries(), 3).shape == (0, 3)


def test_history_is_fine_where_repeats_are() -> None:
    asked = queries([0, 1], repeats=True)
    assert checked_lists(packed([0, 1]), asked, 2).tolist() == [[0, 1]]


@pytest.mark.parametrize(
    ("lists", "words"),
    [
        ([[1, 2], [6, 0]], "item 6 at place 0 for user 101"),
        ([[1, 2], [-2, 0]], "item -2"),
        ([[1, 2], [-1, 0]], "-1 at place 0 for user 101"),
        ([[2, 2], [1, 0]], "item 2 twice for user 100"),
        ([[1, 2], [3, 5]], "item 5 is in the history of user 101"),
        ([[1, 2]], "8 bytes"),
    ],
)
def test_bad_lists_are_named(lists: list[list[int]], words: str) -> None:
    with pytest.raises(BadOutput, match=words):
        checked_lists(packed(*lists), queries([0, 3], [4, 5]), 2)


def test_an_item_of_another_users_history_is_fine() -> None:
    checked_lists(packed([5, 4], [0, 3]), queries([0, 3], [4, 5]), 2)


def test_blocks_hold_the_rows_that_were_asked_for() -> None:
    block = queries([1], [], [2, 3], [4]).block(np.array([3, 1, 2]))
    assert block.ids.tolist() == [103, 101, 102]
    assert block.indptr.tolist() == [0, 1, 1, 3]
    assert block.items.tolist() == [4, 2, 3]
