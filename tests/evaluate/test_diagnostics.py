from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from evolver.config import SplitConfig
from evolver.contract import Interactions, Users
from evolver.core import Scored
from evolver.data.sample import sample
from evolver.data.split import Counts, Fold, Labels, make_fold, make_split
from evolver.evaluate.diagnostics import diagnose
from evolver.evaluate.slices import Slice, read_slices, slices_of, unnamed, write_slices

DAY = 86_400


@cache
def shop() -> Fold:
    data = sample()
    return make_fold(data, make_split(data, SplitConfig(), 0), "search", repeats=False)


def scored(values: Any, **metrics: float) -> Scored:
    values = np.asarray(values, dtype=np.float32)
    return Scored(
        metrics={"ndcg@10": float(values.mean()), **metrics}, per_user={"ndcg@10": values},
        fit_seconds=1, score_seconds=1, latency_ms_p50=1, latency_ms_p99=1, parameters=1,
        peak_bytes=1,
    )  # fmt: skip


def made(copies: int = 20) -> Fold:
    """Four kinds of user, `copies` of each: history length 1 to 4, last seen 0, 3, 20 or 100 days
    before the end, holding out item 0 (half of training), 1, or 2 (rare), the last kind unseen."""
    users, items, times, labels = [], [], [], []
    for user in range(4 * copies):
        kind = user % 4
        for step in range(kind + 1):
            users.append(user)
            items.append(0 if step == 0 else 1)
            times.append((1000 - (0, 3, 20, 100)[kind] - (kind - step)) * DAY)
        labels.append([0, 1, 2, 2][kind])
    known = np.arange(4 * copies) % 4 != 3
    sizes = np.bincount(users)
    indptr = np.concatenate([[0], np.cumsum(sizes)])
    queries = Users(
        ids=np.arange(4 * copies), known=known, indptr=indptr,
        items=np.array(items, dtype=np.int32), n_items=3, times=np.array(times),
    )  # fmt: skip
    features = csr_matrix(np.eye(2, dtype=np.float32)[np.arange(4 * copies) // (2 * copies)])
    rows = known[np.array(users)]
    train = Interactions(
        users=np.array(users, dtype=np.int32)[rows], items=np.array(items, dtype=np.int32)[rows],
        times=np.array(times)[rows], n_users=4 * copies, n_items=3,
        user_features={"club": features, "number": csr_matrix(np.ones((4 * copies, 99)))},
    )  # fmt: skip
    counts = Counts(
        rows=0, label_rows=0, history_rows=0, repeat_rows=0, cold_user_rows=0, known_users=0,
        unseen_users=0, cold_users=0, cold_items=0,
    )  # fmt: skip
    held = Labels(indptr=np.arange(4 * copies + 1), items=np.array(labels, dtype=np.int32))
    return Fold(
        part="search", train=train, queries=queries, labels=held, counts=counts, repeats=True
    )


def test_slices_by_hand() -> None:
    fold = made()
    found = {(each.group, each.name): each.mask for each in slices_of(fold)}
    kind = np.arange(80) % 4
    expected = {
        ("history length", "history of 1"): kind == 0,
        ("history length", "history of 2"): kind == 1,
        ("history length", "history of 3"): kind == 2,
        ("history length", "history of 4"): kind == 3,
        ("recency", "last seen within a day"): kind == 0,
        ("recency", "last seen within a week"): kind == 1,
        ("recency", "last seen within a month"): kind == 2,  # the fourth kind is not known
        ("cold start", "known users"): kind != 3,
        ("cold start", "users not in training"): kind == 3,
        ("popularity of what was taken", "took mostly popular items"): kind == 0,
        ("popularity of what was taken", "took some of each"): kind == 1,
        ("popularity of what was taken", "took mostly rare items"): kind >= 2,
        ("user club", "club 0"): np.arange(80) < 40,
        ("user club", "club 1"): np.arange(80) >= 40,
    }
    # item 0 and item 1 hold half of training each, so what comes first is the popular one
    assert set(found) == set(expected)
    for key, mask in expected.items():
        assert found[key].tolist() == mask.tolist(), key


def test_small_slices_and_lone_slices_are_left_out() -> None:
    groups = {each.group for each in slices_of(made(copies=19))}
    assert "history length" not in groups
    assert "recency" not in groups
    assert "user club" in groups
    assert slices_of(made(copies=1)) == ()


def test_slices_of_a_group_do_not_overlap() -> None:
    found = slices_of(shop())
    assert {each.group for each in found} >= {
        "history length", "recency", "cold start", "popularity of what was taken",
        "history by category",
    }  # fmt: skip
    for group in {each.group for each in found}:
        total = sum(each.mask.astype(int) for each in found if each.group == group)
        assert total.max() == 1
    lengths = [each.users for each in found if each.group == "history length"]
    assert sum(lengths) == len(shop().queries)
    assert max(lengths) < 2 * min(lengths)


def test_a_fold_without_times_or_features_has_the_other_slices() -> None:
    fold = shop()
    train = replace(fold.train, times=None, item_features={})
    bare = replace(fold, train=train, queries=replace(fold.queries, times=None))
    assert {each.group for each in slices_of(bare)} == {
        "history length", "cold start", "popularity of what was taken",
    }  # fmt: skip


def diagnosed() -> Any:
    values = np.array([1.0, 0.5, 0.0, 0.0, 0.5, 1.0])
    parent = np.array([0.5, 0.5, 0.0, 0.5, 0.0, 0.5])
    half = np.arange(6) < 3
    groups = [
        Slice(group="history length", name="short", mask=half),
        Slice(group="history length", name="long", mask=~half),
    ]
    mine = scored(values, **{"coverage@10": 0.25, "recall@20": 0.9})
    return diagnose(replace(mine, unserved=2), groups, "ndcg@10", [("parent", scored(parent))])


def test_duels_by_hand() -> None:
    got = diagnosed()
    assert got.value == pytest.approx(0.5)
    (duel,) = got.duels
    assert (duel.better, duel.worse, duel.same) == (3, 1, 2)
    assert duel.difference == pytest.approx(1 / 6)
    assert duel.low < 0 < duel.high
    short, long = got.rows
    assert (short.users, short.value) == (3, 0.5)
    assert (short.duels[0].better, short.duels[0].worse) == (1, 0)
    assert long.duels[0].difference == pytest.approx(1 / 6)
    assert got.breadth == {"coverage@10": 0.25}
    assert json.loads(json.dumps(got.as_data()))["rows"][0]["name"] == "short"


def test_the_table_is_small_and_says_it() -> None:
    assert str(diagnosed()) == (
        "ndcg@10 0.5000 over 6 users, 2 of them not served by it\n"
        "against parent: +0.1667 (-0.1600 to +0.4933); better for 3, worse for 1\n"
        "coverage@10 0.25\n"
        "slice                                users   value   vs parent\n"
        "history length:\n"
        "  short                                  3  0.5000    +0.1667\n"
        "  long                                   3  0.5000    +0.1667"
    )
    values = np.random.default_rng(0).random(len(shop().queries))
    others = [("parent", scored(values * 0.5)), ("best", scored(values + 0.1))]
    text = str(diagnose(scored(values), slices_of(shop()), "ndcg@10", others))
    assert max(map(len, text.splitlines())) <= 80
    assert text.count("*") == 2 * len(slices_of(shop()))


def test_alone_there_is_nothing_to_compare_with() -> None:
    got = diagnose(scored(np.ones(len(shop().queries))), slices_of(shop()), "ndcg@10")
    assert got.duels == ()
    assert "against" not in str(got)


def test_another_part_is_refused() -> None:
    with pytest.raises(ValueError, match="6 users judged, but 5 for 'best'"):
        diagnose(scored(np.ones(6)), (), "ndcg@10", [("best", scored(np.ones(5)))])


@pytest.mark.parametrize("of_shop", [True, False])
def test_slices_come_back_as_they_were_kept(tmp_path: Path, of_shop: bool) -> None:
    slices = slices_of(shop()) if of_shop else ()
    assert bool(slices) == of_shop
    write_slices(tmp_path / "slices.npz", slices)
    back = read_slices(tmp_path / "slices.npz")
    assert back == slices
    for one, other in zip(slices, back, strict=True):
        np.testing.assert_array_equal(one.mask, other.mask)
    assert [path.name for path in tmp_path.iterdir()] == ["slices.npz"]


def test_features_are_called_by_their_place_for_whoever_may_not_know_their_names() -> None:
    mask = np.ones(30, dtype=bool)
    given = [
        Slice(group="history length", name="history of 2 to 4", mask=mask),
        Slice(group="user age", name="age 3", mask=mask),
        Slice(group="user home town", name="home town other", mask=mask),
        Slice(group="history by mostly", name="history mostly mostly 11", mask=mask),
    ]
    found = unnamed(given, ["age", "home town"], ["genre", "mostly"])
    assert [(each.group, each.name) for each in found] == [
        ("history length", "history of 2 to 4"),
        ("user feature 1", "user feature 1: 3"),
        ("user feature 2", "user feature 2: other"),
        ("history by item feature 2", "history mostly item feature 2: 11"),
    ]
    assert all(each.mask is mask for each in found)
