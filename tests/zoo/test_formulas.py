"""Answers that can be worked out by hand or by the formula of the paper."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from evolver.contract import Budget, Interactions, Users
from evolver.zoo import BASELINES, source
from tests.zoo import inprocess

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
    values = {"l2": 0.05, "exponent": 0.7, "factors": factors}
    module = inprocess.candidate("ials", source("ials"))
    model = module.Model(inprocess.params(module, **values))
    model.alpha = 0.2
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
    density = taken.sum() / (40 * 25)
    values = {"weight": 0.2 / density**0.5, "l2": 0.05, "exponent": 0.7, "factors": 4}

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


def test_lightgcn_smooths_as_the_paper_says() -> None:
    module = inprocess.candidate("lightgcn", source("lightgcn"))
    base = np.random.default_rng(0).standard_normal((9, 3), dtype=np.float32)
    smooth = module.Graph(interactions(TAKEN), "cpu").smooth(torch.from_numpy(base), 2)
    graph = np.zeros((9, 9))
    graph[:5, 5:], graph[5:, :5] = TAKEN, TAKEN.T
    degree = graph.sum(1)
    graph /= np.sqrt(np.outer(degree, degree))
    expected = (base + graph @ base + graph @ graph @ base) / 3
    np.testing.assert_allclose(smooth, expected, rtol=1e-4, atol=1e-6)


def test_lightgcn_gradient_goes_through_the_smoothing() -> None:
    """The shortcut (smooth the gradient) agrees with automatic differentiation."""
    module = inprocess.candidate("lightgcn", source("lightgcn"))
    model = module.Model(inprocess.params(module, factors=16))
    graph = module.Graph(interactions(TAKEN), "cpu")
    base = torch.randn((9, 16), generator=torch.Generator().manual_seed(0))
    pairs, drawn = torch.tensor([[0, 5], [3, 8], [4, 5]]), torch.tensor([6, 5])
    _, gradient = model._loss(graph.smooth(base, 2).requires_grad_(), pairs, drawn)
    shortcut = graph.smooth(gradient, 2)

    leaf = base.clone().requires_grad_()
    dense = torch.from_numpy(graph.on_cpu.toarray())
    smooth = (leaf + dense @ leaf + dense @ dense @ leaf) / 3
    unit = torch.nn.functional.normalize(smooth, dim=1)
    loss = torch.zeros(())
    for user, item in pairs.tolist():
        rivals = [item] + [other for other in drawn.tolist() if other != item]
        logits = unit[rivals] @ unit[user] / model.params.temperature
        loss = loss + (logits.logsumexp(0) - logits[0]) / len(pairs)
    torch.autograd.backward(loss)
    np.testing.assert_allclose(shortcut, leaf.grad, rtol=1e-3, atol=1e-6)


def test_lightgcn_serves_an_unseen_user_by_the_layers_that_history_feeds() -> None:
    """A stranger gets what a known user gets, but for the layer that only training could fill."""
    module = inprocess.candidate("lightgcn", source("lightgcn"))
    model = module.Model(inprocess.params(module, factors=16, layers=2))
    graph = module.Graph(interactions(TAKEN), "cpu")
    base = torch.randn((9, 16), generator=torch.Generator().manual_seed(0))
    base[0] = 0.0  # user 0 has no embedding of their own, as a stranger
    model._keep(graph, base, interactions(TAKEN))
    everyone = everybody(TAKEN)
    stranger = Users(
        ids=np.array([4]),
        known=np.array([False]),
        indptr=everyone.indptr[:2],
        items=everyone.history(0),
        n_items=4,
    )
    np.testing.assert_allclose(model.score(stranger)[0], model.score(everyone)[0], rtol=1e-4)


def test_bpr_loss_is_the_papers_against_the_hardest_drawn_item() -> None:
    module = inprocess.candidate("bpr_mf", source("bpr_mf"))
    model = module.Model(inprocess.params(module, l2=0.0))
    model.users = torch.tensor([[1.0, 2.0]])
    model.items = torch.tensor([[1.0, 0.0], [0.0, 1.0], [3.0, 0.0], [0.0, 5.0]])
    model.bias = torch.tensor([0.5, 0.0, 0.0, 0.0])
    # scores 1.5, 2, 3, 10; item 3 is the positive itself when drawn and must not count
    loss = model._loss(torch.tensor([[0, 3]]), torch.tensor([[3, 2, 0]]))
    assert float(loss) == pytest.approx(np.log1p(np.exp(3.0 - 10.0)), rel=1e-4)
    loss = model._loss(torch.tensor([[0, 1]]), torch.tensor([[0, 2]]))
    assert float(loss) == pytest.approx(np.log1p(np.exp(3.0 - 2.0)), rel=1e-4)


def test_sasrec_never_looks_ahead() -> None:
    module = inprocess.candidate("sasrec", source("sasrec"))
    torch.manual_seed(0)
    net = module.Net(20, inprocess.params(module, length=10, width=32)).eval()
    items = torch.randint(20, (3, 10), generator=torch.Generator().manual_seed(1))
    changed = items.clone()
    changed[:, 6:] = (changed[:, 6:] + 7) % 20
    with torch.no_grad():
        before, after = net(items), net(changed)
    np.testing.assert_array_equal(before[:, :6], after[:, :6])
    assert not np.allclose(before[:, 6], after[:, 6])


def test_sasrec_scores_the_most_recent_items_whatever_the_block() -> None:
    module = inprocess.candidate("sasrec", source("sasrec"))
    model = module.Model(inprocess.params(module, length=10, width=32))
    torch.manual_seed(0)
    model.net, model.popularity = module.Net(30, model.params), torch.ones(30)
    histories = [np.arange(25), np.arange(4), np.arange(0), np.arange(10)]
    users = Users(
        ids=np.arange(4),
        known=np.ones(4, dtype=bool),
        indptr=np.cumsum([0, *map(len, histories)]),
        items=np.concatenate(histories).astype(np.int32),
        n_items=30,
    )
    scores = model.score(users)
    for row, history in enumerate(histories):
        if len(history):
            with torch.no_grad():
                final = model.net(torch.from_numpy(history[-10:])[None])[0, -1]
                alone = final @ model.net.items.weight.T
            np.testing.assert_allclose(scores[row], alone, rtol=1e-3, atol=1e-5)
        else:
            np.testing.assert_array_equal(scores[row], np.ones(30))


def test_sasrec_windows_hold_every_step_once() -> None:
    module = inprocess.candidate("sasrec", source("sasrec"))
    rng = np.random.default_rng(0)
    sizes = [1, 2, 40, 0, 7]
    train = Interactions(
        users=np.repeat(np.arange(5), sizes).astype(np.int32),
        items=np.arange(50, dtype=np.int32),  # all different, so that steps can be told apart
        n_users=5,
        n_items=50,
    )
    for _ in range(20):
        steps = []
        for items, targets in module.windows(train, 6, 16, rng):
            assert items.shape == targets.shape
            assert items.shape[1] <= 6
            real = targets >= 0
            assert torch.equal(real, real.cummin(dim=1).values.bool())  # padding lies behind
            steps += list(zip(items[real].tolist(), targets[real].tolist(), strict=True))
        same_user = [(i, i + 1) for i in range(49) if train.users[i] == train.users[i + 1]]
        assert sorted(steps) == same_user


def test_sasrec_sampled_loss_estimates_the_full_one() -> None:
    module = inprocess.candidate("sasrec", source("sasrec"))
    model = module.Model(inprocess.params(module, negatives=4_096, width=32))
    rng = np.random.default_rng(0)
    items = (50 * rng.random(4_000) ** 2).astype(np.int32)  # a long tail
    train = Interactions(users=np.zeros(4_000, dtype=np.int32), items=items, n_users=1, n_items=50)
    model.net, model.popularity = module.Net(50, model.params), torch.from_numpy(train.popularity())
    torch.manual_seed(0)
    torch.nn.init.normal_(model.net.items.weight)
    states, wanted = torch.randn(64, 32) * 0.3, torch.randint(50, (64,))
    with torch.no_grad():
        full = float(model._loss(states, wanted, train, rng))
        module.FULL_SOFTMAX = 10
        sampled = [float(model._loss(states, wanted, train, rng)) for _ in range(20)]
    assert np.mean(sampled) == pytest.approx(full, rel=0.01)
    assert np.std(sampled) > 0  # it did sample


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
