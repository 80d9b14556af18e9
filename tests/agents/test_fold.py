from __future__ import annotations

import numpy as np
import pytest

from evolver.agents.fold import INNER_SHARE, pipeline_fold
from evolver.config import SplitConfig
from evolver.data.dataset import Dataset
from evolver.data.split import make_split

USERS, ROWS = 30, 12


def dataset(*, timed: bool) -> Dataset:
    rng = np.random.default_rng(4)
    users = np.repeat(np.arange(USERS), ROWS).astype(np.int32)
    items = np.concatenate([rng.permutation(40)[:ROWS] for _ in range(USERS)]).astype(np.int32)
    times = np.concatenate([np.sort(rng.integers(0, 10_000, ROWS)) for _ in range(USERS)])
    return Dataset(
        name="toy",
        users=users,
        items=items,
        user_ids=np.arange(USERS).astype(str),
        item_ids=np.arange(40).astype(str),
        times=times.astype(np.int64) if timed else None,
        ordered=True,
    )


def pairs(users: np.ndarray, items: np.ndarray) -> set[tuple[int, int]]:
    return set(zip(users.tolist(), items.tolist(), strict=True))


@pytest.mark.parametrize("kind", ["time", "order", "random"])
@pytest.mark.parametrize("part", ["search", "promotion", "test"])
def test_what_ranking_learns_from_comes_out_of_the_training_rows(kind: str, part: str) -> None:
    data = dataset(timed=True)
    split = make_split(data, SplitConfig(kind=kind), 0)  # type: ignore[arg-type]
    fold = pipeline_fold(data, split, part, repeats=False)  # type: ignore[arg-type]
    inner = fold.inner
    asked = np.repeat(inner.queries.ids, np.diff(inner.labels.indptr))
    learned = pairs(asked, inner.labels.items)
    trained = pairs(fold.train.users, fold.train.items)
    assert learned
    assert learned <= trained
    assert not learned & pairs(inner.train.users, inner.train.items)
    assert pairs(inner.train.users, inner.train.items) < trained
    judged = np.repeat(fold.queries.ids, np.diff(fold.labels.indptr))
    assert not pairs(judged, fold.labels.items) & (learned | trained)


def test_by_time_the_inner_labels_are_the_latest_rows_of_all() -> None:
    data = dataset(timed=True)
    fold = pipeline_fold(data, make_split(data, SplitConfig(kind="time"), 0), "search", False)
    assert fold.train.times is not None
    assert fold.inner.train.times is not None
    cut = np.quantile(fold.train.times, 1 - INNER_SHARE)
    assert fold.inner.train.times.max() <= cut
    assert len(fold.inner.train) == pytest.approx(len(fold.train) * (1 - INNER_SHARE), abs=2)


def test_by_order_the_inner_label_is_each_users_last_row() -> None:
    data = dataset(timed=False)
    fold = pipeline_fold(data, make_split(data, SplitConfig(kind="order"), 0), "search", False)
    assert (np.diff(fold.inner.labels.indptr) == 1).all()
    last = fold.train.items[fold.train.indptr()[1:] - 1]
    assert (fold.inner.labels.items == last[fold.inner.queries.ids]).all()
