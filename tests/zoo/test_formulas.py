"""Answers that can be worked out by hand or by the formula of the paper."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from benchmarks import inprocess
from evolver.contract import Budget, Interactions, Users
from evolver.zoo import BASELINES, source

TAKEN = np.array(  # 5 users, 4 items
    [[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 0], [0, 0, 1, 1], [1, 0, 0, 1]], dtype=np.float32
)


def interactions(taken: NDArray[np.float32], times: NDArray[np.int64] | None = None) -> Any:
    users, items = np.nonzero(taken)
    return Interactions(
        users=users.astype(np.int32),
        items=items.astype(np.int32),
        n_users=taken.shape[0],
        n_items=taken.shape[1],
        times=times,
    )


def everybody(taken: NDArray[np.float32]) -> Users:
    return inprocess.users_of(interactions(taken), np.arange(len(taken)))


def fitted(name: str, train: Interactions, **values: Any) -> inprocess.Fitted:
    module = inprocess.candidate(name, source(name))
    return inprocess.fit(module, train, Budget(seconds=60.0), **values)


def test_popularity_counts() -> None:
    scores = fitted("popularity", interactions(TAKEN)).model.score(everybody(TAKEN))
    np.testing.assert_array_equal(scores, np.tile([3, 3, 3, 2], (5, 1)))


def test_popularity_halves_after_each_half_life() -> None:
    day = 86_400
    taken = np.array([[1, 1], [0, 1]], dtype=np.float32)
    train = interactions(taken, times=np.array([20, 0, 10]) * day)
    scores = fitted("popularity", train, half_life_days=10.0).model.score(everybody(taken))
    np.testing.assert_allclose(scores[0], [1.0, 0.25 + 0.5])


def test_item_knn_is_the_shrunk_cosine() -> None:
    values = {"shrinkage": 2.0, "user_weighting": 0.0, "popularity_penalty": 0.5}
    scores = fitted("item_knn", interactions(TAKEN), **values).model.score(everybody(TAKEN))
    together = TAKEN.T @ TAKEN
    counts = np.diag(together)
    similarity = together / (np.sqrt(np.outer(counts, counts)) + 2.0)
    np.fill_diagonal(similarity, 0.0)
    np.testing.assert_allclose(scores, TAKEN @ similarity, rtol=1e-6)


def test_item_knn_keeps_the_nearest_only() -> None:
    rng = np.random.default_rng(0)
    taken = (rng.random((60, 30)) < 0.3).astype(np.float32)
    values = {"shrinkage": 1.0, "user_weighting": 0.0, "popularity_penalty": 0.5}
    module = inprocess.candidate("item_knn", source("item_knn"))
    model = module.Model(inprocess.params(module, neighbours=10, **values))
    model.fit(interactions(taken), Budget(seconds=60.0))
    together = taken.T @ taken
    counts = np.diag(together)
    similarity = together / (np.sqrt(np.outer(counts, counts)) + 1.0)
    np.fill_diagonal(similarity, 0.0)
    kept = model.similarity.toarray()
    assert np.all((kept > 0).sum(axis=0) == 10)
    for target in range(30):
        least = np.sort(similarity[:, target])[-10]
        chosen = kept[:, target] > 0
        assert np.all(similarity[chosen, target] >= least - 1e-6)
        np.testing.assert_allclose(kept[chosen, target], similarity[chosen, target], rtol=1e-6)


def test_ease_is_the_closed_form() -> None:
    weights = fitted("ease", interactions(TAKEN), l2=10.0).model.weights
    inverse = np.linalg.inv((TAKEN.T @ TAKEN).astype(np.float64) + 10.0 * np.eye(4))
    expected = -inverse / np.diag(inverse)
    np.fill_diagonal(expected, 0.0)
    np.testing.assert_allclose(weights, expected, rtol=1e-4, atol=1e-6)
    assert np.all(np.diag(weights) == 0.0)


def test_ease_zero_diagonal_is_the_constrained_optimum() -> None:
    """Each column solves ridge regression on the other items alone."""
    weights = fitted("ease", interactions(TAKEN), l2=20.0).model.weights
    for item in range(4):
        others = np.delete(TAKEN, item, axis=1).astype(np.float64)
        ridge = others.T @ others + 20.0 * np.eye(3)
        column = np.linalg.solve(ridge, others.T @ TAKEN[:, item])
        np.testing.assert_allclose(np.delete(weights[:, item], item), column, rtol=1e-4)


@pytest.mark.parametrize("factors", [16, 3])
def test_ials_half_step_solves_the_normal_equations(factors: int) -> None:
    """Rows shorter than the factors use the small kernel system, longer ones the usual one."""
    rng = np.random.default_rng(1)
    taken = (rng.random((40, 25)) < 0.25).astype(np.float32)
    taken[0] = 0.0
    values = {"alpha": 0.2, "l2": 0.05, "exponent": 0.7, "factors": factors}
    module = inprocess.candidate("ials", source("ials"))
    model = module.Model(inprocess.params(module, **values))
    items = module.Side.of(torch.from_numpy(rng.standard_normal((25, factors), dtype=np.float32)))
    rows = interactions(taken).matrix()
    solved = model._solve(rows, items).numpy()
    Y = items.factors.numpy().astype(np.float64)
    for user in range(40):
        mine = Y[taken[user] > 0]
        ridge = 0.05 * (len(mine) + 0.2 * 25) ** 0.7
        normal = mine.T @ mine + 0.2 * Y.T @ Y + ridge * np.eye(factors)
        expected = np.linalg.solve(normal, mine.sum(axis=0))
        np.testing.assert_allclose(solved[user], expected, rtol=2e-3, atol=1e-4)


def test_ials_sweeps_lower_the_objective() -> None:
    rng = np.random.default_rng(1)
    taken = (rng.random((40, 25)) < 0.25).astype(np.float32)
    values = {"alpha": 0.2, "l2": 0.05, "exponent": 0.7, "factors": 4}

    def objective(sweeps: int) -> float:
        model = fitted("ials", interactions(taken), sweeps=sweeps, **values).model
        H = model.items.factors.numpy().astype(np.float64)
        W = model._solve(interactions(taken).matrix(), model.items).numpy().astype(np.float64)
        predicted = W @ H.T
        fit = (taken * (predicted - 1) ** 2).sum() + 0.2 * (predicted**2).sum()
        users = 0.05 * ((taken.sum(1) + 0.2 * 25) ** 0.7 * (W**2).sum(1)).sum()
        items = 0.05 * ((taken.sum(0) + 0.2 * 40) ** 0.7 * (H**2).sum(1)).sum()
        return float(fit + users + items)

    first, fourth, eighth = objective(1), objective(4), objective(8)
    assert first > fourth > eighth


def test_graph_filter_is_the_dense_formula() -> None:
    values = {"user_exponent": 0.5, "item_exponent": 0.4, "power": 0.7, "damping": 0.6}
    scores = fitted("graph_filter", interactions(TAKEN), **values).model.score(everybody(TAKEN))
    scaled = TAKEN * TAKEN.sum(1, keepdims=True) ** -0.5 * TAKEN.sum(0, keepdims=True) ** -0.4
    graph = (scaled.T @ scaled).astype(np.float64) ** 0.7
    largest = np.linalg.eigvalsh(graph)[-1]
    expected = TAKEN @ (graph - 0.6 * graph @ graph / largest)
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)


def test_graph_filter_drops_the_weakest_links_of_a_crowded_item() -> None:
    module = inprocess.candidate("graph_filter", source("graph_filter"))
    rng = np.random.default_rng(0)
    dense = rng.random((6, 9), dtype=np.float32)
    dense[2, 3:] = 0.0
    kept = module.strongest(module.csr_matrix(dense), 4).toarray()
    for row, full in zip(kept, dense, strict=True):
        least = np.sort(full)[-4]
        np.testing.assert_array_equal(row, np.where((full >= least) & (full > 0), full, 0.0))


def test_baselines_are_tried_where_they_fit() -> None:
    for baseline in BASELINES:
        assert baseline.unfit(943, 1_682, 100_000, 4 << 30, 120.0) is None
    reasons = {
        baseline.name: baseline.unfit(29_858, 40_981, 810_128, 8 << 30, 600.0)
        for baseline in BASELINES
    }
    assert reasons.pop("ease") == (
        "EASE needs 12.5 GB for 40,981 items and 810,128 interactions; 8.0 GB are allowed"
    )
    assert set(reasons.values()) == {None}
    slow = {b.name: b for b in BASELINES}["ease"].unfit(1000, 10_000, 10**6, 8 << 30, 10.0)
    assert slow is not None
    assert "10 s are allowed" in slow


def test_an_unknown_model_is_named_with_the_known_ones() -> None:
    with pytest.raises(KeyError, match=r"no zoo model is called 'slim'; there are popularity"):
        source("slim")
