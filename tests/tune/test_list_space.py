"""The space of re-rankers: what its parts are worth by hand, and that each does something."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from evolver import zoo
from evolver.contract import Ranked, Users
from evolver.core import Candidate, Failed
from evolver.evaluate.check import inspect_source
from evolver.tune.sampling import random_point, seeded
from evolver.tune.space import load_space
from tests.tune.candidates import fitted, reloaded

SPACE = load_space("lists")
QUICK = {"epochs": 4, "width": 8}
WIDTH = 8
DEPTH = 5


def slates(rows: int = 60, seed: int = 0, *, labels: bool = True) -> Ranked:
    """Lists of eight of twelve items of three genres, low numbers on most of them; users take items
    of the genre that fills their history, wherever these are on the list. The last list is short,
    the last user new."""
    rng, chance = np.random.default_rng(seed), 0.7 ** np.arange(12)
    drawn = [rng.choice(12, WIDTH, replace=False, p=chance / chance.sum()) for _ in range(rows)]
    items = np.array(drawn, dtype=np.int32)
    items[-1, 3:] = -1
    scores = np.tile(np.linspace(0.9, 0.2, WIDTH, dtype=np.float32), (rows, 1))
    scores[-1, 3:] = 0.0
    liked = rng.integers(0, 3, rows)
    histories = np.stack([liked, liked + 3, liked + 6], axis=1)[:-1].ravel().astype(np.int32)
    users = Users(
        ids=np.arange(rows),
        known=np.ones(rows, dtype=bool),
        indptr=np.concatenate([np.arange(rows) * 3, [3 * rows - 3]]),
        items=histories,
        n_items=12,
    )
    taken = (items % 3 == liked[:, None]) & (items >= 0)
    return Ranked(
        items=items,
        scores=scores,
        users=users,
        popularity=np.arange(12, 0, -1),
        item_features={"genre": csr_matrix(np.eye(3, dtype=np.float32)[np.arange(12) % 3])},
        labels=taken.astype(np.float32) if labels else None,
    )


def asked() -> Ranked:
    return slates(seed=1, labels=False)


def trained(candidate: Candidate, ablate: str = "", **values: Any) -> Any:
    """A model that was fitted, saved and loaded again."""
    given = {**QUICK, **values, "ablate": ablate}
    return reloaded(candidate, fitted(candidate, slates(), **given), **given)


def point(**chosen: Any) -> Candidate:
    plain = {"exposure": "as is", "selection": "by worth", "window": 10}
    return SPACE.compile(SPACE.repair({**SPACE.default(), **plain, **chosen}))


def check(found: np.ndarray, given: Ranked) -> None:
    """Items of each list, none twice, padding at the end."""
    assert found.dtype.kind == "i"
    for row, items in enumerate(found.tolist()):
        kept = [item for item in items if item >= 0]
        assert items == kept + [-1] * (len(items) - len(kept))
        assert len(set(kept)) == len(kept)
        assert set(kept) <= set(given.items[row].tolist())


@pytest.mark.parametrize("seed", range(24))
def test_sampled_points_learn_survive_saving_and_keep_to_the_contract(seed: int) -> None:
    candidate = SPACE.compile(SPACE.repair(random_point(SPACE.parameters, seeded(seed))))
    given = asked()
    first, second = trained(candidate), trained(candidate)
    found = first.rerank(given, DEPTH)
    check(found, given)
    np.testing.assert_array_equal(found, second.rerank(given, DEPTH))
    bare = replace(given, item_features={})
    model = fitted(candidate, replace(slates(), item_features={}), **QUICK)
    check(model.rerank(bare, DEPTH), bare)


PARTS: Mapping[str, Mapping[str, Any]] = {
    "learning": {"scoring": "attention"},
    "taste": {"taste": "last items", "taste_weight": 0.8},
    "rarity": {"rarity": "liked", "bonus": 0.4},
    "exposure": {"exposure": "damped", "damping": 0.5},
    "selection": {"selection": "marginal relevance", "trade": 0.4},
}


def test_each_part_is_declared_can_be_left_out_and_does_something() -> None:
    given = asked()
    nothing = trained(point(relevance="score")).rerank(given, DEPTH)
    np.testing.assert_array_equal(nothing, given.items[:, :DEPTH])
    for name, chosen in PARTS.items():
        candidate = point(relevance="score", **chosen)
        facts = inspect_source(candidate.source, "reranking")
        assert not isinstance(facts, Failed)
        assert facts.ablations == (name,)
        whole = trained(candidate, learning_rate=0.1, epochs=60)
        assert not np.array_equal(whole.rerank(given, DEPTH), nothing), name
        without = trained(candidate, ablate=name).rerank(given, DEPTH)
        np.testing.assert_array_equal(without, nothing, err_msg=name)


@pytest.mark.parametrize("scoring", ["linear", "attention"])
def test_what_labels_say_of_taste_is_learned(scoring: str) -> None:
    candidate = point(scoring=scoring, taste="whole history", taste_weight=0.01)
    model = fitted(candidate, slates(300), learning_rate=0.1, epochs=60, width=8)
    given = slates(seed=2)
    taken = dict(zip(map(tuple, given.items.tolist()), given.labels, strict=True))  # type: ignore[arg-type]
    found = model.rerank(given, 1)[:-1, 0]
    hits = [
        taken[tuple(items)][items.index(best)]
        for items, best in zip(given.items[:-1].tolist(), found.tolist(), strict=True)
    ]
    assert np.mean(hits) > 0.8 > given.labels[:-1, 0].mean() + 0.3  # type: ignore[index]


def one(history: tuple[int, ...] = (0,)) -> Ranked:
    """One list of five items of two genres, the first three of the first one."""
    users = Users(
        ids=np.array([0]),
        known=np.array([True]),
        indptr=np.array([0, len(history)]),
        items=np.array(history, dtype=np.int32),
        n_items=5,
    )
    return Ranked(
        items=np.arange(5, dtype=np.int32)[None],
        scores=np.array([[1.0, 0.9, 0.8, 0.7, 0.0]], dtype=np.float32),
        users=users,
        popularity=np.array([16, 8, 4, 2, 1]),
        item_features={"genre": csr_matrix(np.eye(2, dtype=np.float32)[[0, 0, 0, 1, 1]])},
        labels=np.zeros((1, 5), dtype=np.float32),
    )


def ordered(given: Ranked, **chosen: Any) -> list[int]:
    candidate = point(**chosen)
    return list(fitted(candidate, given).rerank(given, 5)[0].tolist())


def test_orders_by_hand() -> None:
    # scores from 1 to 0; what is like an item before it loses .35
    mmr = {"selection": "marginal relevance", "trade": 0.35}
    assert ordered(one(), relevance="score", **mmr) == [0, 3, 1, 2, 4]
    # against all: with 0 and 3 listed, half of the pairs are alike, so each loses .175
    assert ordered(one(), relevance="score", against="all", **mmr) == [0, 3, 1, 2, 4]
    # 1, 1/2, 1/4, 1/8, 1/16: a bonus of at most .4 for rarity, 0 for what is always taken
    halves = {"relevance": "exponential place", "half_places": 2.0}
    assert ordered(one(), **halves) == [0, 1, 2, 3, 4]
    assert ordered(one(), **halves, taste="whole history", taste_weight=0.9) == [0, 1, 2, 3, 4]
    assert ordered(one((4,)), **halves, taste="last items", taste_weight=0.9)[:2] == [3, 4]
    # who likes both genres and has one gets the other, who likes one does not
    shares = {"relevance": "score", "selection": "calibration", "trade": 0.5}
    assert ordered(one((0, 3)), **shares)[:2] == [0, 3]
    assert ordered(one((0, 1)), **shares) == [0, 1, 2, 3, 4]


def test_only_the_window_is_put_into_another_order() -> None:
    candidate = point(rarity="liked", bonus=0.5, window=10)
    wide = slates()
    found = fitted(candidate, wide, window=3).rerank(wide, DEPTH)
    assert found.shape == (60, 3)
    np.testing.assert_array_equal(np.sort(found, axis=1), np.sort(wide.items[:, :3], axis=1))


def test_the_determinantal_choice_is_that_of_the_zoo() -> None:
    candidate = point(selection="determinantal", relevance="score")
    found: dict[str, Any] = {"__name__": "candidate"}
    exec(candidate.source, found)
    theirs: dict[str, Any] = {"__name__": "zoo"}
    exec(zoo.source("dpp"), theirs)
    vectors = np.random.default_rng(3).normal(size=(7, 9))
    kernel = vectors @ vectors.T
    assert found["determinantal"](kernel, 5) == theirs["greedy"](kernel, 5)


def test_lists_without_any_label_leave_the_given_order() -> None:
    train = replace(slates(), labels=np.zeros((60, WIDTH), dtype=np.float32))
    for scoring in ("linear", "attention"):
        model = fitted(point(scoring=scoring, relevance="log place"), train, **QUICK)
        given = asked()
        np.testing.assert_array_equal(model.rerank(given, DEPTH), given.items[:, :DEPTH])
