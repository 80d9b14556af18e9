"""What every seed candidate promises, tried on each of them."""

from __future__ import annotations

import ast
import inspect
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import inprocess
from evolver.contract import Budget, Choice, Float, Int, Users
from evolver.zoo import BASELINES, source

NAMES = [baseline.name for baseline in BASELINES]
QUICK: dict[str, dict[str, Any]] = {  # smaller than the defaults, where those take seconds
    "ials": {"factors": 16, "sweeps": 6},
    "bpr_mf": {"factors": 16, "epochs": 20},
    "lightgcn": {"factors": 16, "epochs": 8},
    "sasrec": {"length": 8, "width": 32, "layers": 1, "epochs": 20, "learning_rate": 0.01},
}
ALLOWED = {"numpy", "scipy", "sklearn", "torch", "evolver"}


def fit(name: str, world: Any, seed: int = 0, seconds: float = 60.0) -> inprocess.Fitted:
    module = inprocess.candidate(name, source(name))
    budget = Budget(seconds=seconds, seed=seed)
    return inprocess.fit(module, world.train, budget, **QUICK.get(name, {}))


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def fitted(name: str, world: Any) -> inprocess.Fitted:
    return fit(name, world)


def test_the_file_meets_the_contract(name: str) -> None:
    text = source(name)
    module = inprocess.candidate(name, text)
    assert module.__doc__
    assert len(module.__doc__) > 80
    assert isinstance(module.FAMILY, str)
    assert module.FAMILY
    assert isinstance(module.SERVES_UNSEEN, bool)
    for spec in module.TUNABLES.values():
        if isinstance(spec, Choice):
            assert spec.default in spec.options
        else:
            assert isinstance(spec, Int | Float)
            assert spec.low <= spec.default <= spec.high
            assert not spec.log or spec.low > 0
    for method in ("fit", "score", "state", "load"):
        assert inspect.isfunction(getattr(module.Model, method))


def test_the_file_imports_only_what_candidates_may(name: str) -> None:
    import sys

    for node in ast.walk(ast.parse(source(name))):
        if isinstance(node, ast.Import):
            imported = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported = [node.module or ""]
        else:
            continue
        for full in imported:
            top = full.split(".")[0]
            assert top in ALLOWED or top in sys.stdlib_module_names
            assert top != "evolver" or full == "evolver.contract"


def test_scores_are_finite_and_of_the_promised_shape(fitted: Any, world: Any) -> None:
    scores = fitted.model.score(world.queries)
    assert scores.shape == (len(world.queries), world.train.n_items)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()


def test_blocks_score_as_the_whole(fitted: Any, world: Any) -> None:
    whole = fitted.model.score(world.queries)
    parts = np.concatenate([fitted.model.score(b) for b in inprocess.blocks(world.queries, 50)])
    np.testing.assert_allclose(parts, whole, rtol=2e-4, atol=2e-5)


def test_a_loaded_model_scores_exactly_as_the_trained_one(name: str, world: Any) -> None:
    module = inprocess.candidate(name, source(name))
    chosen = inprocess.params(module, **QUICK.get(name, {}))
    trained, loaded = module.Model(chosen), module.Model(chosen)
    running = trained.fit(world.train, Budget(seconds=60.0))
    for _ in running or ():
        pass
    state = {key: inprocess.as_numpy(value).copy() for key, value in trained.state().items()}
    assert all(value.dtype != np.float64 for value in state.values())
    loaded.load(state)
    np.testing.assert_array_equal(loaded.score(world.queries), trained.score(world.queries))


def test_the_seed_decides(fitted: Any, name: str, world: Any) -> None:
    torch.manual_seed(99)
    np.random.seed(99)
    again = fit(name, world)
    np.testing.assert_array_equal(
        again.model.score(world.queries), fitted.model.score(world.queries)
    )


def test_it_beats_popularity(fitted: Any, name: str, world: Any) -> None:
    def recall(model: Any) -> float:
        lists = inprocess.top_k(model, world.queries, 10)
        return inprocess.ranking_metrics(lists, world.held_out)["recall@10"]

    popular = recall(fit("popularity", world).model)
    assert popular < 0.3
    if name != "popularity":
        assert recall(fitted.model) > 1.5 * popular


def test_an_empty_history_gets_what_is_popular(fitted: Any, world: Any) -> None:
    nobody = Users(
        ids=np.array([world.train.n_users - 1, 0]),
        known=np.array([False, True]),
        indptr=np.array([0, 0, len(world.queries.history(0))]),
        items=world.queries.history(0),
        n_items=world.train.n_items,
    )
    scores = fitted.model.score(nobody)
    assert np.isfinite(scores).all()
    popularity = world.train.popularity()
    ranked = popularity[np.argsort(-scores[0], kind="stable")]
    assert np.all(np.diff(ranked) <= 0) or name_is_weighted(fitted)


def name_is_weighted(fitted: Any) -> bool:
    """Popularity with recency orders by weighted counts, which are its own test's business."""
    return "popularity" in fitted.state and len(fitted.state) == 1


def test_unseen_users_get_what_their_history_asks_for(fitted: Any, name: str, world: Any) -> None:
    module = inprocess.candidate(name, source(name))
    if not module.SERVES_UNSEEN:
        pytest.skip(f"{name} says that it cannot serve users who were not in training")
    row = 12
    history = world.queries.history(row)
    stranger = Users(
        ids=np.array([world.train.n_users - 1]),
        known=np.array([False]),
        indptr=np.array([0, len(history)]),
        items=history,
        n_items=world.train.n_items,
    )
    scores = fitted.model.score(stranger)[0]
    assert np.isfinite(scores).all()
    if name != "popularity":
        group = row % 6
        mine = scores[group * 15 : (group + 1) * 15].mean()
        assert mine > np.delete(scores, np.s_[group * 15 : (group + 1) * 15]).mean()


def test_it_stops_by_itself_when_time_is_short(name: str, world: Any) -> None:
    module = inprocess.candidate(name, source(name))
    if not inspect.isgeneratorfunction(module.Model.fit):
        pytest.skip(f"{name} fits in one go")
    hurried = fit(name, world, seconds=1e-3)
    full = fit(name, world)
    assert len(hurried.progress) < len(full.progress)
    assert np.isfinite(hurried.model.score(world.queries)).all()
    assert all(np.isfinite(loss) for _, loss in full.progress)
    assert [step for step, _ in full.progress] == sorted({step for step, _ in full.progress})
