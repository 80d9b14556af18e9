"""Splits: every row in one part, labels never in training or in a history, every row counted."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolver.config import SplitConfig
from evolver.data.dataset import Dataset
from evolver.data.split import PARTS, Fold, Split, make_fold, make_split
from evolver.errors import ConfigError, DataError

QUARTERS = SplitConfig(search=0.25, promotion=0.25, test=0.25)


def dataset(
    rows: list[tuple[int, ...]],
    *,
    times: bool = True,
    ordered: bool = False,
    published: list[int] | None = None,
) -> Dataset:
    """Rows (user, item) or (user, item, time), already together by user and in order."""
    table = np.array(rows, dtype=np.int64)
    users, items = table[:, 0], table[:, 1]
    return Dataset(
        name="toy",
        users=users.astype(np.int32),
        items=items.astype(np.int32),
        user_ids=np.array([f"u{n}" for n in range(users.max() + 1)]),
        item_ids=np.array([f"i{n}" for n in range(items.max() + 1)]),
        times=table[:, 2] if times else None,
        ordered=ordered,
        published=None if published is None else np.array(published, dtype=np.int8),
    )


def given_split(data: Dataset, parts: list[int], kind: str = "time") -> Split:
    return Split(
        kind=kind,  # type: ignore[arg-type]
        assignment=np.array(parts, dtype=np.int8),
        seed=0,
        fingerprint=data.fingerprint,
    )


def labels_of(fold: Fold, user: int) -> list[int]:
    row = fold.queries.ids.tolist().index(user)
    return fold.labels.items[fold.labels.indptr[row] : fold.labels.indptr[row + 1]].tolist()


def history_of(fold: Fold, user: int) -> list[int]:
    return fold.queries.history(fold.queries.ids.tolist().index(user)).tolist()


# --- which part a row goes to ---------------------------------------------------------------------


def test_time_cuts_at_quantiles_and_ties_go_later():
    data = dataset(
        [(0, 0, 1), (0, 1, 2), (0, 2, 3), (0, 3, 5), (1, 0, 1), (1, 1, 3), (1, 2, 4), (1, 3, 5)]
    )
    split = make_split(data, QUARTERS, 0)
    assert split.kind == "time"
    assert split.cutoffs == (2, 3, 5)  # of 1 1 | 2 3 | 3 4 | 5 5; both threes go to promotion
    assert split.assignment.tolist() == [0, 1, 2, 3, 0, 2, 2, 3]


def test_order_leaves_the_last_three_out_and_spares_short_users():
    data = dataset(
        [(0, i) for i in range(5)] + [(1, i) for i in range(3)], times=False, ordered=True
    )
    split = make_split(data, SplitConfig(), 0)
    assert split.kind == "order"
    assert split.assignment.tolist() == [0, 0, 1, 2, 3, 0, 0, 0]
    assert split.notes == ("1 users with fewer than 4 rows are in train only",)


def test_published_carves_the_newest_train_rows_where_order_is_known():
    rows = [(0, i) for i in range(12)]
    data = dataset(rows, times=False, ordered=True, published=[0] * 10 + [2] * 2)
    split = make_split(data, SplitConfig(), 0)
    assert split.kind == "published"
    assert split.assignment.tolist() == [0] * 8 + [1, 2, 3, 3]


def test_published_validation_is_used_as_it_is():
    unordered = dataset([(0, i) for i in range(12)], times=False, published=[0] * 10 + [1, 2])
    split = make_split(unordered, SplitConfig(), 0)
    assert split.assignment[10:].tolist() == [1, 3]
    assert Counter(split.assignment[:10].tolist()) == {0: 9, 2: 1}
    ordered = dataset(
        [(0, i) for i in range(12)], times=False, ordered=True, published=[0] * 10 + [1, 2]
    )
    assert make_split(ordered, SplitConfig(), 0).assignment.tolist() == [0] * 9 + [1, 2, 3]


def test_published_unordered_draws_by_seed():
    rows = [(u, i) for u in range(20) for i in range(12)]
    data = dataset(rows, times=False, published=([0] * 10 + [2] * 2) * 20)
    one, same, other = (make_split(data, SplitConfig(), seed) for seed in (1, 1, 2))
    assert one.assignment.tolist() == same.assignment.tolist() != other.assignment.tolist()
    for user in range(20):
        assert Counter(one.assignment[user * 12 : user * 12 + 12].tolist()) == {
            0: 8,
            1: 1,
            2: 1,
            3: 2,
        }


@pytest.mark.parametrize(
    ("data", "kind", "expected"),
    [
        (dataset([(0, 0, 5), (1, 1, 5)]), "auto", "same time in every row"),
        (dataset([(0, 0, 5), (1, 1, 5)]), "time", "same time in every row"),
        (dataset([(0, 0), (1, 1)], times=False), "auto", "no times and no known order"),
        (dataset([(0, 0), (1, 1)], times=False), "time", "needs a time column"),
        (dataset([(0, 0), (1, 1)], times=False), "order", "has neither"),
        (dataset([(0, 0), (1, 1)], times=False), "published", "did not come split"),
        (
            dataset([(0, 0), (0, 1), (1, 1)], times=False, ordered=True),
            "auto",
            "leaves search with 0 rows",
        ),
        (dataset([(u, 0, u) for u in range(9)]), "time", "nobody to recommend to"),
    ],
)
def test_what_cannot_be_split_says_what_to_do(data: Dataset, kind: str, expected: str):
    with pytest.raises(DataError, match=expected) as caught:
        make_split(data, SplitConfig(kind=kind), 0)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert "use " in str(caught.value)


def test_parts_that_leave_no_training_are_refused():
    with pytest.raises(ConfigError, match="leave more for training"):
        make_split(dataset([(0, 0, 1)]), SplitConfig(search=0.4, promotion=0.4, test=0.4), 0)


# --- what a part is judged on ---------------------------------------------------------------------


def test_known_users_are_asked_with_all_training_rows_and_labels_lack_them():
    data = dataset([(0, 3, 1), (0, 1, 2), (0, 4, 8), (0, 3, 9), (0, 0, 9), (0, 4, 9), (1, 0, 1)])
    fold = make_fold(data, given_split(data, [0, 0, 1, 1, 1, 1, 0]), "search", repeats=False)
    assert fold.queries.ids.tolist() == [0]
    assert history_of(fold, 0) == [3, 1]
    assert fold.queries.times is not None
    assert fold.queries.times.tolist() == [1, 2]
    assert labels_of(fold, 0) == [0, 4]
    counts = fold.counts
    assert (counts.rows, counts.label_rows, counts.repeat_rows, counts.duplicate_rows) == (
        4,
        2,
        1,
        1,
    )
    assert (counts.cold_items, counts.cold_item_rows) == (1, 1)  # item 4 was never in training


def test_the_matrix_of_queries_leaves_their_histories_in_order():
    data = dataset([(0, 3, 1), (0, 1, 2), (0, 2, 3), (0, 1, 3), (0, 0, 9), (1, 0, 1)])
    queries = make_fold(data, given_split(data, [0, 0, 0, 0, 1, 0]), "search", False).queries
    assert queries.matrix().toarray().tolist() == [[0, 1, 1, 1]]
    assert queries.history(0).tolist() == [3, 1, 2, 1]


def test_repeats_keep_what_the_user_already_had():
    data = dataset([(0, 3, 1), (0, 3, 9), (0, 0, 9), (1, 0, 1)])
    fold = make_fold(data, given_split(data, [0, 1, 1, 0]), "search", repeats=True)
    assert labels_of(fold, 0) == [0, 3]
    assert fold.counts.repeat_rows == 0


def test_unseen_users_are_asked_from_the_first_half_of_the_part():
    data = dataset([(0, 0, 1), (0, 1, 5), (1, 0, 5), (1, 1, 6), (1, 2, 7), (2, 2, 5)])
    fold = make_fold(data, given_split(data, [0, 1, 1, 1, 1, 1]), "search", repeats=False)
    assert fold.queries.ids.tolist() == [0, 1]
    assert fold.queries.known.tolist() == [True, False]
    assert history_of(fold, 1) == [0]
    assert labels_of(fold, 1) == [1, 2]
    counts = fold.counts
    assert (counts.known_users, counts.unseen_users, counts.cold_users) == (1, 1, 1)
    assert (counts.history_rows, counts.cold_user_rows, counts.label_rows) == (1, 1, 3)


def test_unseen_users_are_cold_where_rows_have_no_order():
    data = dataset([(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)], times=False)
    for kind in ("random", "published"):
        fold = make_fold(data, given_split(data, [0, 1, 1, 1, 1], kind), "search", repeats=False)
        assert fold.queries.ids.tolist() == [0]
        assert (fold.counts.cold_users, fold.counts.cold_user_rows) == (1, 3)


def test_a_query_left_without_labels_is_dropped_and_counted():
    data = dataset([(0, 0, 1), (0, 0, 9), (1, 0, 1), (1, 1, 9)])
    fold = make_fold(data, given_split(data, [0, 1, 0, 1]), "search", repeats=False)
    assert fold.queries.ids.tolist() == [1]
    assert fold.queries.items.tolist() == [0]
    assert (fold.counts.repeat_users, fold.counts.repeat_rows) == (1, 1)


def test_a_part_with_nobody_to_ask_is_an_error():
    data = dataset([(0, 0, 1), (0, 0, 9), (1, 1, 9)])
    with pytest.raises(DataError, match="nobody to recommend to"):
        make_fold(data, given_split(data, [0, 0, 1]), "search", repeats=False)
    with pytest.raises(DataError, match=r"only items that they already had.*use --repeats"):
        make_fold(data, given_split(data, [0, 1, 1]), "search", repeats=False)


def test_later_parts_train_on_everything_before():
    data = dataset([(0, i, i) for i in range(6)])
    split = given_split(data, [0, 0, 0, 1, 2, 3])
    for part, size in (("search", 3), ("promotion", 4), ("test", 5)):
        fold = make_fold(data, split, part, repeats=False)  # type: ignore[arg-type]
        assert len(fold.train) == size
        assert history_of(fold, 0) == list(range(size))
        assert labels_of(fold, 0) == [size]


# --- properties -----------------------------------------------------------------------------------

rows_in_time = st.lists(
    st.tuples(st.integers(0, 7), st.integers(0, 9), st.integers(0, 40)), min_size=12, max_size=150
)


@given(
    rows_in_time,
    st.sampled_from(["time", "order", "random", "published"]),
    st.booleans(),
    st.data(),
)
@settings(max_examples=150, deadline=None)
def test_folds_hold_what_they_promise(rows, kind, repeats, draw):
    rows = sorted(rows, key=lambda row: (row[0], row[2]))
    published = draw.draw(st.lists(st.integers(0, 2), min_size=len(rows), max_size=len(rows)))
    data = dataset(rows, published=published)
    try:
        split = make_split(data, SplitConfig(kind=kind, search=0.2, promotion=0.2, test=0.2), 3)
    except DataError:
        return
    again = make_split(data, SplitConfig(kind=kind, search=0.2, promotion=0.2, test=0.2), 3)
    assert split.assignment.tolist() == again.assignment.tolist()
    assert len(split.assignment) == len(data)
    assert set(split.assignment.tolist()) <= {0, 1, 2, 3}
    if kind == "time":
        assert data.times is not None
        for number in range(1, 4):
            before, after = (
                data.times[split.assignment < number],
                data.times[split.assignment >= number],
            )
            assert before.max() < after.min()
    for part in PARTS[1:]:
        try:
            fold = make_fold(data, split, part, repeats)  # type: ignore[arg-type]
        except DataError:
            continue
        check_fold(data, split, fold)


def check_fold(data: Dataset, split: Split, fold: Fold) -> None:
    number = PARTS.index(fold.part)
    pairs = list(
        zip(data.users.tolist(), data.items.tolist(), split.assignment.tolist(), strict=True)
    )
    trained = Counter((u, i) for u, i, part in pairs if part < number)
    here = Counter((u, i) for u, i, part in pairs if part == number)
    assert len(fold.train) == sum(trained.values())
    assert (np.diff(fold.train.users) >= 0).all()
    assert fold.queries.ids.tolist() == sorted(set(fold.queries.ids.tolist()))
    for user in fold.queries.ids.tolist():
        labels, history = labels_of(fold, user), history_of(fold, user)
        assert labels
        assert labels == sorted(set(labels))
        assert all((user, item) in here for item in labels)
        row = fold.queries.ids.tolist().index(user)
        if fold.queries.known[row]:
            assert history == [i for u, i, part in pairs if u == user and part < number]
        else:
            mine = [i for u, i, part in pairs if u == user and part == number]
            assert not any(u == user for u, _ in trained)
            assert history == mine[: len(mine) // 2]
        if not fold.repeats:
            assert not set(labels) & set(history)
    counts = fold.counts
    assert counts.rows == sum(here.values())
    assert counts.rows == (
        counts.label_rows
        + counts.history_rows
        + counts.repeat_rows
        + counts.cold_user_rows
        + counts.duplicate_rows
    )
    assert counts.label_rows == len(fold.labels.items) == fold.labels.indptr[-1]
    asked = counts.known_users + counts.unseen_users
    assert asked == len(fold.queries) == len(fold.labels.indptr) - 1
    assert asked + counts.cold_users + counts.repeat_users == len({u for u, _ in here})
