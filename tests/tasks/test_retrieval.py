from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from evolver.config import EvaluateConfig
from evolver.contract import Interactions, Users
from evolver.core import Completed, Execution, Failed, Scored
from evolver.data.split import Counts, Fold, Labels
from evolver.errors import DataError, UsageError
from evolver.tasks.popularity import popularity_lists
from evolver.tasks.retrieval import evaluate, list_length, metrics_of, served_rows, write_view

N_ITEMS = 6
CONFIG = EvaluateConfig(metric="recall@2", also=("hit@1", "recall@2"))


def ints(*values: int, dtype: Any = np.int32) -> Any:
    return np.array(values, dtype=dtype)


def fold(*, repeats: bool = False, known: tuple[bool, ...] = (True, True, False)) -> Fold:
    """Three queries. Users 0 and 1 trained on items 0 1 and 0 2; user 2 is new and has item 0."""
    train = Interactions(
        users=ints(0, 0, 1, 1),
        items=ints(0, 1, 0, 2),
        n_users=3,
        n_items=N_ITEMS,
        times=ints(10, 20, 30, 40, dtype=np.int64),
        values=np.array([1, 2, 3, 4], dtype=np.float32),
        item_features={"genre": csr_matrix(np.eye(N_ITEMS, 2, dtype=np.float32))},
    )
    queries = Users(
        ids=ints(0, 1, 2, dtype=np.int64),
        known=np.array(known),
        indptr=ints(0, 2, 4, 5, dtype=np.int64),
        items=ints(0, 1, 0, 2, 0),
        n_items=N_ITEMS,
        times=ints(10, 20, 30, 40, 50, dtype=np.int64),
    )
    labels = Labels(indptr=ints(0, 2, 3, 4, dtype=np.int64), items=ints(3, 4, 5, 1))
    counts = Counts(
        rows=4, label_rows=4, history_rows=0, repeat_rows=0, cold_user_rows=0,
        known_users=2, unseen_users=1, cold_users=0, cold_items=0,
    )  # fmt: skip
    return Fold(
        part="search", train=train, queries=queries, labels=labels, counts=counts, repeats=repeats
    )


def execution(lists: Any) -> Execution:
    outcome = Completed(
        answers=np.array(lists, dtype=np.int32),
        fit_seconds=1.5,
        score_seconds=0.5,
        latency_ms=np.linspace(0, 100, 101),
        parameters=7,
        peak_bytes=9,
    )
    return Execution(outcome=outcome, seconds=2.0)


def test_means_slices_and_costs() -> None:
    got = evaluate(execution([[3, 5], [5, 4], [2, 3]]), fold(), CONFIG)
    assert isinstance(got, Scored)
    assert got.per_user["recall@2"].tolist() == [0.5, 1.0, 0.0]
    assert got.per_user["recall@2"].dtype == np.float32
    assert got.metrics["recall@2"] == pytest.approx(0.5)
    assert got.metrics["recall@2[known]"] == pytest.approx(0.75)
    assert got.metrics["recall@2[unseen]"] == 0
    assert got.metrics["hit@1"] == pytest.approx(2 / 3)
    assert got.metrics["coverage@2"] == pytest.approx(4 / 6)
    assert got.metrics["popularity_share@2"] == 0  # item 0 alone is the head
    assert set(got.metrics) == {
        *(
            f"{name}{part}"
            for name in ("recall@2", "hit@1")
            for part in ("", "[known]", "[unseen]")
        ),
        *("coverage@2", "novelty@2", "popularity_share@2", "gini@2"),
    }  # no list has two items with features: no diversity
    assert (got.fit_seconds, got.score_seconds, got.parameters, got.peak_bytes) == (1.5, 0.5, 7, 9)
    assert (got.latency_ms_p50, got.latency_ms_p99) == (50, 99)
    assert got.unserved == 0


def test_no_slices_where_everyone_is_known() -> None:
    got = evaluate(execution([[3, 5], [5, 4], [2, 3]]), fold(known=(True,) * 3), CONFIG)
    assert isinstance(got, Scored)
    assert not [name for name in got.metrics if "[" in name]


def test_whom_a_candidate_cannot_serve_gets_the_popularity_ranking() -> None:
    here = fold()
    served = served_rows(SimpleNamespace(serves_unseen=False), here)
    assert served is not None
    assert served.tolist() == [0, 1]
    got = evaluate(execution([[3, 5], [5, 4]]), here, CONFIG, served)
    assert isinstance(got, Scored)
    assert got.unserved == 1
    assert got.per_user["recall@2"].tolist() == [0.5, 1.0, 1.0]  # 1 and 2, for item 0 is history


def test_everyone_is_asked_for_where_that_is_possible() -> None:
    assert served_rows(SimpleNamespace(serves_unseen=True), fold()) is None
    assert served_rows(SimpleNamespace(serves_unseen=False), fold(known=(True,) * 3)) is None


def test_a_failure_passes_through() -> None:
    failed = Failed(kind="timeout", reason="120 s were over")
    assert evaluate(Execution(outcome=failed, seconds=120), fold(), CONFIG) is failed


@pytest.mark.parametrize(
    ("lists", "reason"),
    [
        ([[3, 5], [5, 4]], r"shape \(2, 2\) where 3 users by 2"),
        ([[3], [5], [2]], "by 2 items were asked for"),
        ([[3, 6], [5, 4], [2, 3]], "query 0, place 2: item 6 is not one of 0 to 5"),
        ([[3, -2], [5, 4], [2, 3]], "item -2 is not one of"),
        ([[3, 5], [-1, 4], [2, 3]], "query 1, place 2: item 4 comes after an empty place"),
        ([[3, 5], [5, 4], [3, 3]], "query 2, place 2: item 3 is on the list twice"),
        ([[3, 5], [5, 4], [2, 0]], "query 2, place 2: item 0 is in the user's history"),
    ],
)
def test_unusable_lists_are_the_candidates_fault(lists: Any, reason: str) -> None:
    import re

    got = evaluate(execution(lists), fold(), CONFIG)
    assert isinstance(got, Failed)
    assert got.kind == "invalid_output"
    assert re.search(reason, got.reason), got.reason


def test_history_is_checked_for_the_users_who_were_asked_for() -> None:
    here = fold(known=(False, True, True))
    served = ints(1, 2, dtype=np.int64)
    got = evaluate(execution([[1, 3], [0, 1]]), here, CONFIG, served)
    assert isinstance(got, Failed)
    assert got.reason == "query 2, place 1: item 0 is in the user's history"


def test_repeats_may_be_recommended_where_the_data_has_them() -> None:
    got = evaluate(execution([[0, 3], [5, 4], [0, 1]]), fold(repeats=True), CONFIG)
    assert isinstance(got, Scored)
    assert got.per_user["recall@2"].tolist() == [0.5, 1, 1]


def test_wrong_dtype_is_refused() -> None:
    outcome = execution([[3, 5], [5, 4], [2, 3]])
    assert isinstance(outcome.outcome, Completed)
    object.__setattr__(outcome.outcome, "answers", outcome.outcome.answers.astype(np.float64))
    got = evaluate(outcome, fold(), CONFIG)
    assert isinstance(got, Failed)
    assert "int32" in got.reason


def test_padding_counts_as_a_miss() -> None:
    got = evaluate(execution([[3, -1], [-1, -1], [1, -1]]), fold(), CONFIG)
    assert isinstance(got, Scored)
    assert got.per_user["recall@2"].tolist() == [0.5, 0, 1]


def test_metrics_once_each_and_the_deepest_cut() -> None:
    config = EvaluateConfig(metric="ndcg@5", also=("recall@50", "ndcg@5"))
    assert [metric.name for metric in metrics_of(config)] == ["ndcg@5", "recall@50"]
    assert list_length(config) == 50
    with pytest.raises(UsageError, match="unknown metric 'auc'"):
        metrics_of(EvaluateConfig(metric="auc"))


def test_a_part_without_queries_is_our_fault() -> None:
    here = fold()
    object.__setattr__(here, "queries", here.queries[0:0])
    with pytest.raises(DataError, match="search part has nobody to ask"):
        evaluate(execution(np.empty((0, 2))), here, CONFIG)


def test_popularity_lists_leave_out_history_and_pad() -> None:
    here = fold()
    lists = popularity_lists(here.train, here.queries, 5, repeats=False)
    assert lists.tolist() == [[2, 3, 4, 5, -1], [1, 3, 4, 5, -1], [1, 2, 3, 4, 5]]
    assert (
        popularity_lists(here.train, here.queries, 7, repeats=True).tolist()
        == [[0, 1, 2, 3, 4, 5, -1]] * 3
    )


def test_popularity_lists_in_blocks_equal_one_by_one() -> None:
    rng = np.random.default_rng(0)
    n_items, queries = 500, 1500
    sizes = rng.integers(0, 60, queries)
    indptr = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    items = rng.integers(0, n_items, indptr[-1]).astype(np.int32)
    users = Users(
        ids=np.arange(queries), known=np.ones(queries, bool), indptr=indptr, items=items,
        n_items=n_items,
    )  # fmt: skip
    train = Interactions(
        users=np.repeat(np.arange(queries), sizes).astype(np.int32), items=items,
        n_users=queries, n_items=n_items,
    )  # fmt: skip
    order = np.argsort(-np.bincount(items, minlength=n_items), kind="stable")
    got = popularity_lists(train, users, 10, repeats=False)
    for row in range(queries):
        had = set(users.history(row).tolist())
        assert got[row].tolist() == [int(i) for i in order if i not in had][:10]


def test_view_holds_exactly_what_may_be_seen(tmp_path: Path) -> None:
    here = fold()
    place = tmp_path / "deep" / "view"
    write_view(here, place)
    assert json.loads((place / "view.json").read_text()) == {
        "task": "retrieval",
        "n_users": 3,
        "n_items": 6,
        "repeats": False,
        "user_features": [],
        "item_features": [{"name": "genre", "width": 2}],
    }
    dtypes = {path.name: np.load(path).dtype.name for path in place.glob("*.npy")}
    assert dtypes == {
        "users.npy": "int32", "items.npy": "int32", "times.npy": "int64", "values.npy": "float32",
        "query_ids.npy": "int64", "query_known.npy": "bool", "query_indptr.npy": "int64",
        "query_items.npy": "int32", "query_times.npy": "int64",
        "item_feature_0.indptr.npy": "int32", "item_feature_0.indices.npy": "int32",
        "item_feature_0.data.npy": "float32",
    }  # fmt: skip
    assert np.load(place / "query_items.npy").tolist() == [0, 1, 0, 2, 0]
    assert {path.suffix for path in place.iterdir()} == {".npy", ".json"}
    assert [path.name for path in place.parent.iterdir()] == ["view"]  # no draft is left


def test_view_is_replaced_whole(tmp_path: Path) -> None:
    place = tmp_path / "view"
    write_view(fold(), place)
    (place / "stale.npy").touch()
    write_view(fold(), place)
    assert not (place / "stale.npy").exists()


def test_a_view_that_cannot_be_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match="No space"):
        write_view(fold(), tmp_path / "view")
    assert list(tmp_path.iterdir()) == []


def test_no_label_reaches_the_view(tmp_path: Path) -> None:
    """Move each held-out item: not one byte of the view may change."""
    one, other = fold(), fold()
    object.__setattr__(other.labels, "items", ints(4, 5, 3, 2))
    for name, each in (("one", one), ("other", other)):
        write_view(each, tmp_path / name)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "other" / path.name).read_bytes()
