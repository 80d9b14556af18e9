from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolver.agents.document import MergeSpec
from evolver.agents.merge import BUCKETS, bucket, learn, merge

A = np.array([[5, 3, 1, -1]], dtype=np.int32)
B = np.array([[3, 8, 9, 2]], dtype=np.int32)


def test_round_robin_takes_turns_and_skips_what_is_there() -> None:
    found = merge([A, B], MergeSpec(), 10)
    assert found.items.tolist() == [[5, 3, 8, 1, 9, 2, -1, -1]]
    assert found.places[0].tolist() == [[0, 1, -1, 2, -1, -1, -1, -1]]
    assert found.places[1].tolist() == [[-1, 0, 1, -1, 2, 3, -1, -1]]


def test_fusion_adds_reciprocal_places() -> None:
    found = merge([A, B], MergeSpec(how="fusion", constant=1.0), 3)
    # 3: 1/3 + 1/2; 5: 1/2; 8: 1/3; 1 and 9: 1/4
    assert found.items.tolist() == [[3, 5, 8]]
    assert found.scores[0].tolist() == pytest.approx([5 / 6, 1 / 2, 1 / 3])


def test_learned_odds_put_the_agent_that_is_right_first() -> None:
    lists = [np.array([[1, 2], [3, 4], [5, 6]], np.int32), np.array([[7, 8]] * 3, np.int32)]
    indptr, labels = np.array([0, 1, 2, 3]), np.array([1, 3, 6], np.int32)
    odds = learn(lists, indptr, labels, 10)
    assert odds[0, 0] == pytest.approx(2.5 / 103)  # right twice in three at the first place
    assert odds[0, 1] == pytest.approx(1.5 / 103)
    assert odds[1, 0] == pytest.approx(0.5 / 103)
    found = merge(lists, MergeSpec(how="learned"), 4, odds)
    assert found.items[0].tolist() == [1, 2, 7, 8]


def test_a_learned_merge_needs_odds() -> None:
    with pytest.raises(ValueError, match="odds"):
        merge([A], MergeSpec(how="learned"), 4)


def test_an_agent_that_lists_nothing_changes_nothing() -> None:
    none = np.full((1, 4), -1, dtype=np.int32)
    for how in ("round_robin", "fusion"):
        spec = MergeSpec(how=how)  # type: ignore[arg-type]
        assert merge([A, none], spec, 3).items.tolist() == merge([A], spec, 3).items.tolist()


rows = st.lists(st.integers(0, 30), unique=True, max_size=8)


@given(st.lists(rows, min_size=1, max_size=4), st.integers(1, 40))
def test_a_merge_holds_each_item_once_and_falls(lists: list[list[int]], depth: int) -> None:
    padded = [np.array([each + [-1] * (8 - len(each))], dtype=np.int32) for each in lists]
    for how in ("round_robin", "fusion"):
        found = merge(padded, MergeSpec(how=how), depth)  # type: ignore[arg-type]
        items = found.items[0][found.items[0] >= 0]
        every = {i for each in lists for i in each}
        assert len(set(items.tolist())) == len(items) == min(depth, len(every))
        assert set(items.tolist()) <= every
        assert (np.diff(found.scores[0][: len(items)]) <= 0).all()
        for agent, each in enumerate(lists):
            for place, item in enumerate(items.tolist()):
                where = each.index(item) if item in each else -1
                assert found.places[agent, 0, place] == where


def test_groups_of_places_grow() -> None:
    groups = bucket(500)
    assert groups[0] == 0
    assert (np.diff(groups) >= 0).all()
    assert groups[-1] < BUCKETS
