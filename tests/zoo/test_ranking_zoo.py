"""Zoo models of labelled tables: the contract, what each can learn, what it must never do."""

from __future__ import annotations

import re
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from evolver.contract import Budget, Lists, Table
from evolver.evaluate.check import Facts, inspect_source
from evolver.metrics.classification import auc, log_loss
from evolver.zoo import RANKING, source
from tests.zoo import inprocess

NAMES = [baseline.name for baseline in RANKING]
SMALL = {"width": 16, "depth": 1, "dim": 4, "dropout": 0.0, "crosses": 2}
LEARNING = SMALL | {"epochs": 25, "learning_rate": 0.02, "l2": 1e-6}


def table(n: int = 1200, seed: int = 0) -> Table:
    """Users like items of their own parity, which no value tells alone; a number, a list of the
    values of the item column and a set of its own say nothing."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 8, (n, 2)).astype(np.int32)
    sizes = rng.integers(0, 4, n)
    indptr = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    noise = rng.random(n) < 0.05
    labels = ((codes[:, 0] % 2 == codes[:, 1] % 2) ^ noise).astype(np.float32)
    return Table(
        codes=codes,
        sizes=(8, 8),
        numbers=rng.normal(size=(n, 1)).astype(np.float32),
        lists=(
            Lists(
                indptr=indptr,
                codes=rng.integers(0, 8, indptr[-1]).astype(np.int32),
                size=8,
                ordered=True,
                column=1,
            ),
            Lists(indptr=indptr, codes=rng.integers(0, 3, indptr[-1]).astype(np.int32), size=3),
        ),
        labels=labels,
        user=0,
        item=1,
    )


def fitted(
    module: ModuleType, train: Table, seconds: float = 1e6, **values: Any
) -> tuple[Any, list[Any]]:
    known = {name: value for name, value in values.items() if name in module.TUNABLES}
    model = module.Model(inprocess.params(module, **known))
    steps = list(model.fit(train, Budget(seconds=seconds, seed=3)))
    fresh = module.Model(inprocess.params(module, **known))
    fresh.load({name: np.asarray(value) for name, value in model.state().items()})
    np.testing.assert_array_equal(fresh.predict(train[:50]), model.predict(train[:50]))
    return fresh, steps


@pytest.fixture(params=NAMES)
def module(request: pytest.FixtureRequest) -> ModuleType:
    return inprocess.candidate(request.param, source(request.param))


def test_the_file_meets_the_contract_and_says_where_it_comes_from(module: ModuleType) -> None:
    name = module.__name__.removeprefix("candidate_")
    facts = inspect_source(source(name), "ranking")
    assert isinstance(facts, Facts), facts
    assert facts.family == module.FAMILY
    assert {p.name: p.default for p in facts.tunables} == dict(inprocess.params(module))
    assert re.search(r"\b(19|20)\d\d\b", module.__doc__ or "")


def test_all_but_the_linear_model_learn_what_two_values_say_together(module: ModuleType) -> None:
    train, later = table(), table(600, seed=1)
    model, steps = fitted(module, train, **LEARNING)
    found = model.predict(later)
    assert found.shape == (600,)
    assert found.dtype == np.float64
    assert ((found > 0) & (found < 1)).all()
    assert later.labels is not None
    reached = auc(later.labels, found)
    if module.FAMILY == "linear":
        assert reached < 0.6
        return
    assert reached > 0.85
    assert log_loss(later.labels, found) < 0.55
    assert steps[-1][1] < steps[0][1]


def test_a_row_is_predicted_alone_as_in_company(module: ModuleType) -> None:
    model, _ = fitted(module, table(300), **SMALL, epochs=1)
    rows = table(80, seed=2)
    alone: NDArray[Any] = np.concatenate([model.predict(rows[n : n + 1]) for n in range(80)])
    np.testing.assert_allclose(alone, model.predict(rows), atol=1e-6)
    assert model.predict(rows[:0]).shape == (0,)


def test_the_seed_decides(module: ModuleType) -> None:
    rows = table(300)
    first, _ = fitted(module, rows, **SMALL, epochs=2)
    torch.manual_seed(99)
    again, _ = fitted(module, rows, **SMALL, epochs=2)
    np.testing.assert_array_equal(first.predict(rows), again.predict(rows))


def test_it_stops_by_itself_when_time_is_short(module: ModuleType) -> None:
    rows = table(300)
    _, steps = fitted(module, rows, seconds=1e-3, **SMALL, epochs=30)
    assert len(steps) == 1


class Clock:
    """Stands for the module time; moves a little whenever it is read."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 0.001
        return self.now


def epochs_of(name: str, first: float, later: float) -> int:
    """How many of twelve are made in forty seconds, where each takes so long."""
    module, clock = inprocess.candidate(name, source(name)), Clock()
    module.time = clock  # type: ignore[attr-defined]
    model, made = module.Model(inprocess.params(module, epochs=12)), 0
    for made, _ in model.fit(table(300), Budget(seconds=40, seed=3)):
        clock.now += first if made == 1 else later
    return made


@pytest.mark.parametrize("name", NAMES)
def test_a_cold_start_shortens_no_schedule(name: str) -> None:
    assert epochs_of(name, first=25.0, later=0.01) == 12
    assert epochs_of(name, first=5.0, later=5.0) == 6  # of 34 s: ten, then 4 * 5


def test_features_may_be_missing_altogether(module: ModuleType) -> None:
    whole = table(200)
    bare = Table(
        codes=whole.codes,
        sizes=whole.sizes,
        numbers=np.zeros((200, 0), dtype=np.float32),
        labels=whole.labels,
    )
    model, _ = fitted(module, bare, **SMALL, epochs=1)
    assert np.isfinite(model.predict(bare)).all()
