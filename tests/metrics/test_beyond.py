from __future__ import annotations

from math import log2, sqrt

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from evolver.metrics import beyond

LISTS = np.array([[0, 1], [0, 2], [0, -1]], dtype=np.int32)
POPULARITY = np.array([6, 2, 1, 1], dtype=np.int64)


def test_hand_computed() -> None:
    shown = beyond.exposure(LISTS, 4)
    assert shown.tolist() == [3, 1, 1, 0]
    assert beyond.coverage(shown) == pytest.approx(3 / 4)
    assert beyond.novelty(shown, POPULARITY) == pytest.approx(
        (3 * log2(14 / 7) + log2(14 / 3) + log2(14 / 2)) / 5
    )
    # mean absolute difference over twice the mean: |3-1|x2 |3-0| |1-0|x2 |1-1| over 4 items
    assert beyond.gini(shown) == pytest.approx(2 * (2 + 2 + 3 + 1 + 1) / (4 * 4) / (2 * 5 / 4))
    assert beyond.popularity_share(shown, POPULARITY) == pytest.approx(3 / 5)


def test_head_is_the_fewest_items_that_hold_a_fifth() -> None:
    assert beyond.head(np.array([1, 1, 1, 1, 1])).tolist() == [True, False, False, False, False]
    assert beyond.head(np.array([1, 2, 2, 2, 2, 2])).tolist() == [False, True, True] + [False] * 3
    assert not beyond.head(np.zeros(3, dtype=np.int64)).any()


def test_even_exposure_has_no_inequality_and_a_single_item_has_all() -> None:
    assert beyond.gini(np.array([5, 5, 5])) == pytest.approx(0)
    assert beyond.gini(np.array([0, 0, 9])) == pytest.approx(2 / 3)


def test_nothing_shown() -> None:
    shown = beyond.exposure(np.full((2, 3), -1, dtype=np.int32), 4)
    assert (beyond.coverage(shown), beyond.gini(shown)) == (0, 0)
    assert (beyond.novelty(shown, POPULARITY), beyond.popularity_share(shown, POPULARITY)) == (0, 0)


def test_diversity_is_mean_cosine_distance_of_described_items() -> None:
    features = csr_matrix(np.array([[2, 0], [0, 3], [1, 1], [0, 0]], dtype=np.float32))
    lists = np.array([[0, 1, 2], [0, 3, -1], [0, 1, 3]], dtype=np.int32)
    first = (1 + 2 * (1 - 1 / sqrt(2))) / 3
    assert beyond.diversity(lists, features) == pytest.approx((first + 1) / 2)
    assert features.toarray()[0, 0] == 2  # not normalised in place


def test_diversity_needs_two_described_items_on_a_list() -> None:
    features = csr_matrix(np.array([[1.0], [0.0], [0.0]]))
    assert beyond.diversity(np.array([[0, 1, 2]], dtype=np.int32), features) is None


def test_diversity_equals_a_loop_over_pairs() -> None:
    rng = np.random.default_rng(5)
    dense = rng.random((30, 6)) * (rng.random((30, 6)) < 0.4)
    lists = np.stack([rng.permutation(30)[:5] for _ in range(40)]).astype(np.int32)
    unit = dense / np.maximum(np.linalg.norm(dense, axis=1, keepdims=True), 1e-300)
    expected = []
    for row in lists:
        held = [i for i in row if dense[i].any()]
        pairs = [1 - unit[i] @ unit[j] for n, i in enumerate(held) for j in held[:n]]
        if pairs:
            expected.append(np.mean(pairs))
    assert beyond.diversity(lists, csr_matrix(dense)) == pytest.approx(np.mean(expected), abs=1e-12)
