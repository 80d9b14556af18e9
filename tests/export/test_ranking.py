"""The ranking that the sandbox runner and exported packages share."""

from __future__ import annotations

import importlib.util
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolver import resources
from evolver.contract import Users


def load() -> ModuleType:
    path = resources.folder("sandbox") / "ranking.py"
    spec = importlib.util.spec_from_file_location("ranking_under_test", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ranking = load()
EMPTY = (np.array([0, 0]), np.array([], dtype=np.int32))


def users(histories: list[list[int]], n_items: int) -> Users:
    return Users(
        ids=np.arange(len(histories)),
        known=np.ones(len(histories), dtype=np.bool_),
        indptr=np.concatenate([[0], np.cumsum([len(h) for h in histories])]).astype(np.int64),
        items=np.array([i for h in histories for i in h], dtype=np.int32),
        n_items=n_items,
    )


def test_best_first_without_history() -> None:
    lists = ranking.top_k(
        [[0.1, 0.9, 0.5, 0.7], [4, 3, 2, 1]], np.array([0, 1, 3]), np.array([1, 0, 2]), 2
    )
    assert lists.tolist() == [[3, 2], [1, 3]]
    assert lists.dtype == np.int32


def test_repeats_keep_the_history() -> None:
    lists = ranking.top_k([[0.1, 0.9]], np.array([0, 1]), np.array([1]), 2, repeats=True)
    assert lists.tolist() == [[1, 0]]


def test_lists_that_run_out_end_in_nobody() -> None:
    scores = [[1.0, 2.0, -np.inf]]
    assert ranking.top_k(scores, np.array([0, 1]), np.array([0]), 5).tolist() == [[1] + [-1] * 4]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_are_no_numbers_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="NaN or"):
        ranking.top_k([[0.0, bad]], *EMPTY, 1)


def test_ties_break_by_the_seed_and_not_by_item_number() -> None:
    scores = np.zeros((1, 1000))
    first = ranking.top_k(scores, *EMPTY, 50, tie_seed=1)
    assert first.tolist() == ranking.top_k(scores, *EMPTY, 50, tie_seed=1).tolist()
    assert first.tolist() != ranking.top_k(scores, *EMPTY, 50, tie_seed=2).tolist()
    assert 300 < first.mean() < 700  # not the head of the catalogue


def splitmix64(state: int) -> int:
    """Steele, Lea and Flood (2014), in Python's own integers."""
    full = (1 << 64) - 1
    z = state & full
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & full
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & full
    return z ^ (z >> 31)


def test_tie_hash_is_splitmix64() -> None:
    golden = 0x9E3779B97F4A7C15
    start = 3 * golden + 0xD1B54A32D192ED03
    expected = [splitmix64(start + step * golden) for step in (1, 2, 3)]
    assert ranking.tie_order(3, 3).tolist() == expected


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 12), st.integers(1, 30), st.integers(1, 35))
def test_equals_a_full_sort(seed: int, rows: int, n_items: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 4, (rows, n_items)).astype(np.float32)  # many ties
    sizes = rng.integers(0, n_items + 1, rows)
    indptr = np.concatenate([[0], np.cumsum(sizes)])
    items = rng.integers(0, n_items, indptr[-1]).astype(np.int32)
    ties = ranking.tie_order(n_items, 7)
    got = ranking.top_k(scores, indptr, items, k, tie_seed=7)
    for row in range(rows):
        had = set(items[indptr[row] : indptr[row + 1]].tolist())
        best = sorted(set(range(n_items)) - had, key=lambda i: (-scores[row, i], ties[i]))[:k]
        assert got[row].tolist() == best + [-1] * (k - len(best))


def test_models_are_asked_in_blocks_and_order_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking, "BLOCK", 2)
    asked: list[int] = []

    def score(block: Users) -> Any:
        asked.append(len(block))
        return -np.abs(np.arange(6) - block.ids[:, None])

    lists = ranking.rank(SimpleNamespace(score=score), users([[], [1], [], [], [4]], 6), 1)
    assert asked == [2, 2, 1]
    assert lists[[0, 2, 3], 0].tolist() == [0, 2, 3]
    assert lists[1, 0] in (0, 2)
    assert lists[4, 0] in (3, 5)


def test_own_lists_lose_the_history() -> None:
    model = SimpleNamespace(recommend=lambda block, k: np.tile(np.arange(k), (len(block), 1)))
    assert ranking.rank(model, users([[0, 2], []], 9), 3).tolist() == [[1, 3, 4], [0, 1, 2]]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ([[0, 0, 1]], "twice"),
        ([[0, 9, 1]], "outside"),
        ([[0.0, 1.0]], "dtype"),
        ([[0], [1]], "shape"),
        ([[-2, 1]], "outside"),
    ],
)
def test_own_lists_are_checked(raw: list[list[float]], reason: str) -> None:
    model = SimpleNamespace(recommend=lambda block, k: np.array(raw))
    with pytest.raises(ValueError, match=reason):
        ranking.rank(model, users([[]], 9), 2)


def test_scores_of_the_wrong_shape_are_refused() -> None:
    model = SimpleNamespace(score=lambda block: np.zeros((1, 3)))
    with pytest.raises(ValueError, match="expected"):
        ranking.rank(model, users([[], []], 3), 2)
