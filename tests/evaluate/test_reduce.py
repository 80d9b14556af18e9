"""Cheaper judgings hold what they say, and no label."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolver.config import DataConfig, SplitConfig
from evolver.contract import Interactions, Users
from evolver.data.formats import load
from evolver.data.split import Counts, Fold, Labels, make_fold, make_split
from evolver.evaluate.reduce import SLIVER_QUERIES, SLIVER_ROWS, Reduction, reduced, sliver


def small() -> Fold:
    """Three users with 4, 2 and 1 rows; 0 and 2 are asked for, and user 3, who is new."""
    return Fold(
        part="search",
        train=Interactions(
            users=np.array([0, 0, 0, 0, 1, 1, 2], dtype=np.int32),
            items=np.array([0, 1, 2, 3, 4, 5, 6], dtype=np.int32),
            n_users=4,
            n_items=8,
            times=np.arange(7),
        ),
        queries=Users(
            ids=np.array([0, 2, 3]),
            known=np.array([True, True, False]),
            indptr=np.array([0, 4, 5, 6]),
            items=np.array([0, 1, 2, 3, 6, 7], dtype=np.int32),
            n_items=8,
        ),
        labels=Labels(indptr=np.array([0, 1, 3, 4]), items=np.array([7, 0, 1, 2], dtype=np.int32)),
        counts=Counts(
            rows=0,
            label_rows=0,
            history_rows=0,
            repeat_rows=0,
            cold_user_rows=0,
            known_users=0,
            unseen_users=0,
            cold_users=0,
            cold_items=0,
        ),
        repeats=False,
    )


def test_the_latest_half_of_each_history_stays() -> None:
    cut = reduced(small(), Reduction(history=0.5), 0)
    assert cut.train.users.tolist() == [0, 0, 1, 2]
    assert cut.train.items.tolist() == [2, 3, 5, 6]
    assert cut.train.times is not None
    assert cut.train.times.tolist() == [2, 3, 5, 6]
    assert cut.queries.ids.tolist() == [0, 2, 3]
    assert cut.queries.items.tolist() == [0, 1, 2, 3, 6, 7]  # what they had is still masked


@given(share=st.floats(0.01, 1.0), seed=st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_a_share_of_the_users_stays_with_all_that_is_theirs(share: float, seed: int) -> None:
    whole = small()
    cut = reduced(whole, Reduction(users=share), seed)
    assert len(cut.queries) >= 1
    assert len(cut.queries) == len(cut.labels.indptr) - 1 == len(cut.queries.known)
    trained = set(cut.train.users.tolist())
    for user in trained:  # all rows of a user or none
        assert (cut.train.users == user).sum() == (whole.train.users == user).sum()
    for row, user in enumerate(cut.queries.ids.tolist()):
        before = whole.queries.ids.tolist().index(user)
        assert bool(cut.queries.known[row]) == (user in trained)
        assert cut.queries.history(row).tolist() == whole.queries.history(before).tolist()
        theirs = slice(whole.labels.indptr[before], whole.labels.indptr[before + 1])
        ours = slice(cut.labels.indptr[row], cut.labels.indptr[row + 1])
        assert cut.labels.items[ours].tolist() == whole.labels.items[theirs].tolist()


def test_everything_is_everything() -> None:
    whole = small()
    cut = reduced(whole, Reduction(), 3)
    assert cut.train.items.tolist() == whole.train.items.tolist()
    assert cut.labels.items.tolist() == whole.labels.items.tolist()


@pytest.fixture(scope="module")
def sample() -> Fold:
    dataset = load(DataConfig())
    return make_fold(dataset, make_split(dataset, SplitConfig(), 0), "search", False)


def test_a_sliver_is_small_and_asks_for_known_and_new_users(sample: Fold) -> None:
    cut = sliver(sample, 0)
    assert 0 < len(cut.train) <= SLIVER_ROWS
    assert 0 < len(cut.queries) <= SLIVER_QUERIES
    assert cut.train.n_users == sample.train.n_users
    trained = np.unique(cut.train.users)
    assert np.array_equal(cut.queries.known, np.isin(cut.queries.ids, trained))
    again = sliver(sample, 0)
    assert np.array_equal(cut.train.items, again.train.items)
    assert not np.array_equal(cut.queries.ids, sliver(sample, 1).queries.ids)


def test_one_history_longer_than_a_sliver_is_cut() -> None:
    rows = SLIVER_ROWS + 10
    whole = small()
    long = replace(
        whole,
        train=replace(
            whole.train,
            users=np.zeros(rows, dtype=np.int32),
            items=np.zeros(rows, dtype=np.int32),
            times=None,
        ),
    )
    cut = sliver(long, 0)
    assert 0 < len(cut.train) <= SLIVER_ROWS
    assert len(cut.queries) >= 1
