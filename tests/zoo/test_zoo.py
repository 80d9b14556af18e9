"""What every seed candidate promises, tried on each of them."""

from __future__ import annotations

import inspect
import re
from typing import Any

import numpy as np
import pytest
import torch

from evolver.contract import Budget, Users
from evolver.evaluate.check import Facts, inspect_source
from evolver.export.graph import INPUTS
from evolver.zoo import BASELINES, source
from tests.zoo import inprocess
from tests.zoo.conftest import World
from tests.zoo.inprocess import Fitted

NAMES = [baseline.name for baseline in BASELINES]
QUICK: dict[str, dict[str, Any]] = {  # smaller than the defaults, where those take seconds
    "ials": {"factors": 16, "sweeps": 6},
    "bpr_mf": {"factors": 16, "epochs": 20},
    "lightgcn": {"factors": 16, "epochs": 8},
    "sasrec": {"length": 8, "width": 32, "layers": 1, "epochs": 20, "learning_rate": 0.01},
}


def fit(name: str, world: World, **given: Any) -> inprocess.Fitted:
    module = inprocess.candidate(name, source(name))
    seconds, stop_after = given.get("seconds", 60.0), given.get("stop_after")
    budget = Budget(seconds=seconds, seed=1)
    return inprocess.fit(module, world.train, budget, stop_after, **QUICK.get(name, {}))


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def fitted(name: str, world: World) -> inprocess.Fitted:
    return fit(name, world)


@pytest.fixture(scope="module")
def popular(world: World) -> float:
    return inprocess.recall(
        inprocess.top_k(fit("popularity", world).model, world.queries, 10), world.held_out
    )


def test_the_file_meets_the_contract(name: str) -> None:
    facts = inspect_source(source(name))
    assert isinstance(facts, Facts), facts
    assert facts.has_score
    assert facts.doc.rstrip(".")
    module = inprocess.candidate(name, source(name))
    assert (facts.family, facts.serves_unseen) == (module.FAMILY, module.SERVES_UNSEEN)
    defaults = {parameter.name: parameter.default for parameter in facts.tunables}
    assert defaults == dict(inprocess.params(module))


def test_the_file_cites_where_the_model_comes_from(name: str) -> None:
    doc = inprocess.candidate(name, source(name)).__doc__ or ""
    assert re.search(r"\b(19|20)\d\d\b", doc)


def test_scores_are_finite_and_of_the_promised_shape(fitted: Fitted, world: World) -> None:
    scores = fitted.model.score(world.queries)
    assert scores.shape == (len(world.queries), world.train.n_items)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()


def test_blocks_score_as_the_whole(fitted: Fitted, world: World) -> None:
    whole = fitted.model.score(world.queries)
    parts = np.concatenate([fitted.model.score(b) for b in inprocess.blocks(world.queries, 50)])
    np.testing.assert_allclose(parts, whole, rtol=2e-4, atol=2e-5)


def test_nobody_to_score_is_no_fault(fitted: Fitted, world: World) -> None:
    assert fitted.model.score(world.queries[:0]).shape == (0, world.train.n_items)


def test_a_loaded_model_scores_exactly_as_the_trained_one(fitted: Fitted, world: World) -> None:
    np.testing.assert_array_equal(
        fitted.model.score(world.queries), fitted.trained.score(world.queries)
    )
    assert all(array.dtype != np.float64 for array in fitted.state.values())


def test_the_seed_decides(fitted: Fitted, name: str, world: World) -> None:
    torch.manual_seed(99)
    np.random.seed(99)
    again = fit(name, world)
    assert again.state.keys() == fitted.state.keys()
    for key, array in again.state.items():
        np.testing.assert_array_equal(array, fitted.state[key])


def test_it_beats_popularity(fitted: Fitted, name: str, popular: float, world: World) -> None:
    assert popular < 0.3
    if name != "popularity":
        lists = inprocess.top_k(fitted.model, world.queries, 10)
        assert inprocess.recall(lists, world.held_out) > 1.5 * popular


def test_an_empty_history_gets_what_is_popular(fitted: Fitted, name: str, world: World) -> None:
    nobody = Users(
        ids=np.array([world.train.n_users - 1, 0]),
        known=np.array([False, True]),
        indptr=np.array([0, 0, len(world.queries.history(0))]),
        items=world.queries.history(0),
        n_items=world.train.n_items,
    )
    scores = fitted.model.score(nobody)
    assert np.isfinite(scores).all()
    counts = world.train.popularity()
    if name == "popularity":  # recent interactions count more here; see test_formulas.py
        assert np.corrcoef(counts, scores[0])[0, 1] > 0.99
    else:
        np.testing.assert_array_equal(scores[0], counts)


def test_unseen_users_get_what_their_history_asks_for(
    fitted: Fitted, name: str, world: World
) -> None:
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
    if name == "popularity" or not inprocess.candidate(name, source(name)).SERVES_UNSEEN:
        np.testing.assert_array_equal(scores, fitted.state["popularity"])
        return
    mine = np.arange(90) // 15 == row % 6
    assert np.isfinite(scores).all()
    assert scores[mine].mean() > scores[~mine].mean()


def test_it_stops_when_time_is_short_or_it_is_told_to(
    fitted: Fitted, name: str, world: World
) -> None:
    module = inprocess.candidate(name, source(name))
    if not inspect.isgeneratorfunction(module.Model.fit):
        pytest.skip(f"{name} fits in one go")
    steps = [step for step, _ in fitted.progress]
    assert steps == list(range(1, len(steps) + 1))
    assert np.isfinite([loss for _, loss in fitted.progress]).all()
    assert fitted.progress[-1][1] < fitted.progress[0][1]
    hurried, told = fit(name, world, seconds=1e-3), fit(name, world, stop_after=2)
    assert len(hurried.progress) < len(steps)
    assert len(told.progress) == 2
    for short in (hurried, told):
        scores = short.model.score(world.queries)
        assert np.isfinite(scores).all()
        assert scores.std(axis=1).min() > 0


@pytest.mark.parametrize("name", ["ease", "lightgcn", "bpr_mf", "sasrec"])
def test_the_scorer_scores_as_the_model_does(name: str, world: World) -> None:
    model = fit(name, world).model
    users = world.queries
    stranger = Users(
        ids=np.array([0]),
        known=np.array([False]),
        indptr=np.array([0, 0]),
        items=np.zeros(0, dtype=np.int32),
        n_items=users.n_items,
    )
    scorer = model.scorer().eval()
    names = inspect.signature(scorer.forward).parameters
    for block in (users, stranger):
        given = [INPUTS[each](block, getattr(scorer, "length", 0)) for each in names]
        with torch.no_grad():
            scores = scorer(*map(torch.from_numpy, given))
        expected = torch.as_tensor(model.score(block))
        torch.testing.assert_close(scores, expected, rtol=1e-4, atol=1e-5)
