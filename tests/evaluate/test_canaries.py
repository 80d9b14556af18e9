"""Faults planted on purpose: each must be caught, and sound data must raise no alarm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix, hstack

from evolver.config import DataConfig, SplitConfig
from evolver.data.dataset import Dataset
from evolver.data.formats import load
from evolver.data.sample import sample
from evolver.data.split import PARTS, Fold, Labels, Split, make_fold, make_split
from evolver.evaluate.behaviour import (
    Bounds,
    batch_dependence,
    bounds,
    other_batch,
    shuffled_labels,
    suspicious,
)
from evolver.evaluate.canaries import Alarm, data_canaries
from evolver.metrics.ranking import parse_metric
from evolver.tasks.popularity import popularity_lists

NDCG = parse_metric("ndcg@10")


@cache
def shop() -> Dataset:
    return sample()


def split_of(data: Dataset, kind: Any = "time") -> Split:
    return make_split(data, SplitConfig(kind=kind), seed=0)


def part(data: Dataset, split: Split, name: Any) -> Fold:
    return make_fold(data, split, name, repeats=False)


def search(data: Dataset, split: Split | None = None) -> Fold:
    return make_fold(data, split or split_of(data), "search", repeats=False)


def findings(data: Dataset, split: Split | None = None, fold: Fold | None = None) -> list[Alarm]:
    split = split or split_of(data)
    return list(data_canaries(data, split, [fold or search(data, split)]))


def rearranged(data: Dataset, rows: Any, **changes: Any) -> Dataset:
    assert data.times is not None
    return replace(
        data,
        **{"users": data.users[rows], "items": data.items[rows], "times": data.times[rows]}
        | changes,
    )


def renumbered(data: Dataset, order: Any) -> Dataset:
    """The same data with item order[n] called n."""
    number = np.empty(data.n_items, dtype=np.int32)
    number[order] = np.arange(data.n_items, dtype=np.int32)
    return replace(
        data,
        items=number[data.items],
        item_ids=data.item_ids[order],
        item_features={name: m[order] for name, m in data.item_features.items()},
    )


@pytest.mark.parametrize("kind", ["time", "order", "random"])
def test_sound_data_raises_nothing(kind: str) -> None:
    split = split_of(shop(), kind)
    folds = [part(shop(), split, name) for name in PARTS[1:]]
    assert data_canaries(shop(), split, folds) == ()


@pytest.mark.parametrize("name", ["promotion", "test"])
def test_labels_in_the_history_of_a_sealed_part_are_caught_and_the_part_is_named(name: str) -> None:
    split = split_of(shop())
    folds = [part(shop(), split, each) for each in PARTS[1:]]
    place = PARTS.index(name) - 1
    folds[place] = labels_in_training(folds[place])
    (found,) = data_canaries(shop(), split, folds)
    assert found.canary == "rows in two parts"
    assert found.detail.startswith(f"in the {name} part, 50 of")


def test_what_holds_for_several_parts_is_said_once() -> None:
    split = split_of(shop())
    folds = [labels_in_training(part(shop(), split, each)) for each in PARTS[1:]]
    (found,) = data_canaries(shop(), split, folds)
    assert found.detail.startswith("50 of")


@pytest.mark.realdata
@pytest.mark.parametrize(("name", "kind"), [("ml-100k", "time"), ("ml-100k", "order")])
def test_public_data_raises_no_alarm(real_data: Path, name: str, kind: str) -> None:
    data = load(DataConfig(path=str(real_data / name)))
    split = split_of(data, kind)
    found = data_canaries(data, split, [part(data, split, each) for each in PARTS[1:]])
    assert [alarm for alarm in found if alarm.severity == "alarm"] == []


@pytest.mark.realdata
def test_movies_numbered_as_they_came_out_are_noticed(real_data: Path) -> None:
    data = load(DataConfig(path=str(real_data / "ml-latest-small")))
    data = renumbered(data, np.argsort(data.item_ids.astype(np.int64)))
    (found,) = findings(data)
    assert (found.canary, found.severity) == ("ids that encode order", "warning")


def test_of_large_data_a_sample_of_users_is_looked_at() -> None:
    data, split = shop(), split_of(shop())
    few = len(data) // 10
    assert data_canaries(data, split, [search(data, split)], few) == ()
    assert data.times is not None
    shuffled = replace(data, times=np.random.default_rng(1).permutation(data.times))
    (found,) = data_canaries(shuffled, split, [search(data, split)], few)[:1]
    assert found.canary == "shuffled time"
    fold = search(data, split)
    rows = np.repeat(np.arange(len(fold.queries)), np.diff(fold.labels.indptr))
    train = fold.train
    leaking = replace(
        train,
        users=np.concatenate([train.users, fold.queries.ids[rows].astype(np.int32)]),
        items=np.concatenate([train.items, fold.labels.items]),
        times=None,
        values=None,
    )
    (found,) = data_canaries(data, split, [replace(fold, train=leaking)], few)[:1]
    assert found.canary == "rows in two parts"
    assert 0 < int(found.detail.split()[0].replace(",", "")) < len(rows) / 4


# --- planted in the data ------------------------------------------------------------------------


def plant_duplicates() -> list[Alarm]:
    """Some events twice, once in training and once held out."""
    split = split_of(shop(), "order")
    held = split.assignment == 1
    rows = np.repeat(np.arange(len(shop())), 1 + held)
    second = np.diff(rows, prepend=-1) == 0
    parts = np.where(held, 0, split.assignment)[rows]
    parts[second] = 1
    twice = rearranged(shop(), rows)
    return findings(twice, replace(split, assignment=parts), search(shop()))


def labels_in_training(fold: Fold) -> Fold:
    """Fifty labels lie in the training rows."""
    train = fold.train
    rows = np.repeat(np.arange(len(fold.queries)), np.diff(fold.labels.indptr))
    users = np.concatenate([train.users, fold.queries.ids[rows[:50]].astype(np.int32)])
    items = np.concatenate([train.items, fold.labels.items[:50]])
    order = np.argsort(users, kind="stable")
    leaking = replace(train, users=users[order], items=items[order], times=None, values=None)
    return replace(fold, train=leaking)


def plant_labels_in_training() -> list[Alarm]:
    return findings(shop(), fold=labels_in_training(search(shop())))


def plant_labels_in_shown_history() -> list[Alarm]:
    """The shown history is all that the user ever did."""
    fold = search(shop())
    sizes, held = np.diff(fold.queries.indptr), np.diff(fold.labels.indptr)
    rows = np.repeat(np.arange(len(fold.queries)), sizes)
    label_rows = np.repeat(np.arange(len(fold.queries)), held)
    order = np.argsort(np.concatenate([rows, label_rows]), kind="stable")
    queries = replace(
        fold.queries,
        indptr=np.concatenate([[0], np.cumsum(sizes + held)]),
        items=np.concatenate([fold.queries.items, fold.labels.items])[order],
        times=None,
    )
    return findings(shop(), fold=replace(fold, queries=queries))


def plant_future_rows_by_time() -> list[Alarm]:
    """Training goes on into the search part."""
    split = split_of(shop())
    wrong = np.where(split.assignment == 1, 0, split.assignment)
    wrong[np.flatnonzero(split.assignment == 1)[::2]] = 1
    leaking = replace(split, assignment=wrong.astype(np.int8))
    return findings(shop(), leaking, search(shop(), leaking))


def plant_future_rows_by_order() -> list[Alarm]:
    """Each user's second to last row is held out and the last one is trained on."""
    split = split_of(shop(), "order")
    wrong = split.assignment.copy()
    wrong[split.assignment == 3] = 0
    return findings(shop(), replace(split, assignment=wrong))


def plant_shuffled_times() -> list[Alarm]:
    data = shop()
    assert data.times is not None
    times = np.random.default_rng(1).permutation(data.times)
    order = np.lexsort((times, data.users))
    return findings(rearranged(data, order, times=times[order]))


def plant_shuffled_order() -> list[Alarm]:
    """Each user keeps the times, and the items change places among them."""
    keys = np.random.default_rng(2).random(len(shop()))
    return findings(replace(shop(), items=shop().items[np.lexsort((keys, shop().users))]))


def plant_item_feature() -> list[Alarm]:
    """How often an item is taken, counted beyond the rows to train on."""
    split = split_of(shop())
    counts = np.bincount(shop().items[split.assignment < 2], minlength=shop().n_items)
    features = {**shop().item_features, "taken": csr_matrix(counts[:, None].astype(np.float32))}
    return findings(replace(shop(), item_features=features), split)


def plant_user_feature() -> list[Alarm]:
    """What the user will take next, as a category among others."""
    split = split_of(shop(), "order")
    held = split.assignment == 1
    who, what = shop().users[held], shop().items[held]
    shape = (shop().n_users, shop().n_items)
    one_hot = csr_matrix((np.ones(len(who), np.float32), (who, what)), shape=shape)
    noise = csr_matrix(np.random.default_rng(3).random((shop().n_users, 2)).astype(np.float32))
    both = {"profile": hstack([noise, one_hot], format="csr")}
    return findings(replace(shop(), user_features=both), split)


def plant_ids_by_success() -> list[Alarm]:
    """Items numbered by how often they will be taken."""
    split = split_of(shop())
    later = np.bincount(shop().items[split.assignment == 1], minlength=shop().n_items)
    return findings(renumbered(shop(), np.argsort(-later, kind="stable")))


def plant_ids_by_arrival() -> list[Alarm]:
    data = shop()
    assert data.times is not None
    first = np.full(data.n_items, np.iinfo(np.int64).max)
    np.minimum.at(first, data.items, data.times)
    return findings(renumbered(data, np.argsort(first, kind="stable")))


@pytest.mark.parametrize(
    ("plant", "canary", "says"),
    [
        (plant_duplicates, "rows in two parts", "same user, item and time"),
        (plant_labels_in_training, "rows in two parts", "50 of"),
        (plant_labels_in_shown_history, "rows in two parts", "a model that remembers"),
        (plant_future_rows_by_time, "future rows in training", "from the search part's time"),
        (plant_future_rows_by_order, "future rows in training", "newer than held-out ones"),
        (plant_shuffled_times, "shuffled time", "check the time column"),
        (plant_shuffled_order, "shuffled time", "nothing to learn"),
        (plant_item_feature, "label given away by a feature", "'taken', column 0"),
        (plant_user_feature, "label given away by a feature", "'profile' alone"),
        (plant_ids_by_success, "ids that encode order", "foretells"),
        (plant_ids_by_arrival, "ids that encode order", "number items at random"),
    ],
)
def test_planted_fault_is_caught(plant: Callable[[], list[Alarm]], canary: str, says: str) -> None:
    found = [alarm for alarm in plant() if alarm.canary == canary]
    assert found
    assert any(says in alarm.detail for alarm in found), found


# --- planted in what comes back -----------------------------------------------------------------


def lists_of(fold: Fold, seed: int = 0, k: int = 10) -> Any:
    """A model that is right now and then: popularity with one label put somewhere."""
    lists = popularity_lists(fold.train, fold.queries, k, repeats=False)
    rng = np.random.default_rng(seed)
    for row in np.flatnonzero(rng.random(len(lists)) < 0.4):
        label = fold.labels.items[fold.labels.indptr[row]]
        if label not in lists[row]:
            lists[row, rng.integers(k)] = label
    return lists


def test_a_ranking_that_depends_on_the_batch_is_caught() -> None:
    first = lists_of(search(shop()))
    rows = other_batch(len(first), seed=1)
    assert len(set(rows.tolist())) == len(rows) == (len(first) + 1) // 2
    assert (np.diff(rows) < 0).any()  # in another order too
    assert batch_dependence(first, first[rows], rows) is None
    again = first[rows].copy()
    again[: len(rows) // 50] = again[: len(rows) // 50, ::-1]  # rounding: other places, same items
    assert batch_dependence(first, again, rows) is None
    again[: len(rows) // 20, :2] = -1
    again[: len(rows) // 20] = np.roll(again[: len(rows) // 20], -2, axis=1)
    found = batch_dependence(first, again, rows)
    assert found is not None
    assert found.canary == "ranking that depends on the batch"
    assert found.detail.startswith("5% of users")
    with pytest.raises(ValueError, match="cannot be compared"):
        batch_dependence(first, first[rows][:, :5], rows)


def test_a_metric_that_rises_with_shuffled_labels_is_caught() -> None:
    fold = search(shop())
    sound = lists_of(fold)
    assert shuffled_labels(sound, fold, NDCG) is None
    everyone = popularity_lists(fold.train, fold.queries, 10, repeats=True)
    assert shuffled_labels(everyone, fold, NDCG) is None
    # the planted fault: labels of each query belong to its neighbour
    sizes = np.diff(fold.labels.indptr)
    parts = np.split(fold.labels.items, fold.labels.indptr[1:-1])
    moved = [*parts[1:], parts[0]]
    wrong = replace(
        fold,
        labels=Labels(
            indptr=np.concatenate([[0], np.cumsum(np.roll(sizes, -1))]),
            items=np.concatenate(moved),
        ),
    )
    rng = np.random.default_rng(0)
    avoiding = np.stack(
        [rng.permutation(np.setdiff1d(np.arange(800), labels))[:10] for labels in moved]
    ).astype(np.int32)
    found = shuffled_labels(avoiding, wrong, NDCG)
    assert found is not None
    assert found.canary == "metric that rises with shuffled labels"


def test_bounds_lie_where_they_should() -> None:
    got = bounds(search(shop()), NDCG)
    bare = bounds(search(replace(shop(), item_features={})), NDCG)
    assert 0.1 < got.informed < got.ceiling == pytest.approx(1.0)
    assert bare.ceiling <= 1.0
    assert got == bounds(search(shop()), NDCG)


def test_items_never_seen_in_training_lower_the_ceiling() -> None:
    fold = search(replace(shop(), item_features={}))
    train = fold.train
    gone = np.unique(fold.labels.items)[::2]
    kept = ~np.isin(train.items, gone)
    less = replace(train, users=train.users[kept], items=train.items[kept], times=None)
    got = bounds(replace(fold, train=less), parse_metric("hit@10"))
    assert 0.5 < got.ceiling < 0.95
    known = np.bincount(less.items, minlength=train.n_items) > 0
    parts = np.split(fold.labels.items, fold.labels.indptr[1:-1])
    assert got.ceiling == pytest.approx(np.mean([known[part].any() for part in parts]))


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (0.24, None),
        (0.62, None),  # a better kind of model than all baselines
        (0.75, "look for a leak"),
        (0.99, "all that items known from training allow"),
    ],
)
def test_suspiciously_good_results_are_caught(value: float, says: str | None) -> None:
    limits = Bounds(metric="ndcg@10", ceiling=0.9, informed=0.21)
    found = suspicious(value, limits, best_baseline=0.20, popularity=0.05)
    assert (found is None) == (says is None)
    if found is not None and says is not None:
        assert says in found.detail


def test_a_leaking_model_is_suspicious_and_an_honest_one_is_not() -> None:
    fold = search(shop())
    limits = bounds(fold, NDCG)
    assert suspicious(0.2, limits, best_baseline=0.2, popularity=0.04) is None
    assert suspicious(0.9, limits, best_baseline=0.2, popularity=0.04) is not None
