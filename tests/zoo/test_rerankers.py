"""Re-rankers against answers worked out by hand, and what each must keep to."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from evolver import zoo
from evolver.contract import Budget, Ranked, Users
from tests.zoo import inprocess

GENRES = np.array([[1, 0], [1, 0], [1, 0], [0, 1], [0, 1]], dtype=np.float32)
SCORES = np.array([[1.0, 0.9, 0.8, 0.7, 0.1]], dtype=np.float32)


def lists(history: tuple[int, ...] = (0,), **more: Any) -> Ranked:
    given: dict[str, Any] = {
        "items": np.arange(5, dtype=np.int32)[None],
        "scores": SCORES,
        "users": Users(
            ids=np.array([0]),
            known=np.array([True]),
            indptr=np.array([0, len(history)]),
            items=np.array(history, dtype=np.int32),
            n_items=5,
        ),
        "popularity": np.array([5, 4, 3, 2, 1]),
        "item_features": {"genre": csr_matrix(GENRES)},
    }
    return Ranked(**{**given, **more})


def reranked(name: str, given: Ranked, k: int = 5, **values: Any) -> list[int]:
    module = inprocess.candidate(name, zoo.source(name))
    model = module.Model(inprocess.params(module, **values))
    return list(model.rerank(given, k)[0].tolist())


def test_mmr_by_hand() -> None:
    # relevance .5, scores moved to 1, .889, .778, .667, 0: after item 0, genre one costs .5 each
    assert reranked("mmr", lists(), relevance=0.5) == [0, 3, 1, 2, 4]
    assert reranked("mmr", lists(), relevance=1.0) == [0, 1, 2, 3, 4]


def test_xquad_gives_a_taste_its_share() -> None:
    # a history of both genres: once genre one is covered, only genre two adds anything
    assert reranked("calibration", lists((0, 3)), calibration=0.6)[:2] == [0, 3]
    assert reranked("calibration", lists((0, 1)), calibration=0.6) == [0, 1, 2, 3, 4]
    assert reranked("calibration", lists(()), calibration=0.6) == [0, 1, 2, 3, 4]


def test_the_greedy_dpp_finds_what_trying_all_finds() -> None:
    module = inprocess.candidate("dpp", zoo.source("dpp"))
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(5, 6))
    kernel = vectors @ vectors.T
    chosen: list[int] = []
    for _ in range(4):  # greedy by determinants themselves
        rest = [i for i in range(5) if i not in chosen]
        gains = [np.linalg.det(kernel[np.ix_([*chosen, i], [*chosen, i])]) for i in rest]
        chosen.append(rest[int(np.argmax(gains))])
    assert module.greedy(kernel, 4) == chosen


def test_the_dpp_spreads_where_likeness_counts() -> None:
    assert reranked("dpp", lists(), sharpness=0.5, likeness=0.95)[:2] == [0, 3]
    assert reranked("dpp", lists(), sharpness=20.0, likeness=0.0) == [0, 1, 2, 3, 4]


def test_listwise_attention_starts_as_identity_and_learns_what_labels_say() -> None:
    """Whatever was ranked first, users take what is last; the place is what it has to see."""
    rng = np.random.default_rng(0)
    rows = 200
    train = Ranked(
        items=np.array([rng.permutation(5) for _ in range(rows)], dtype=np.int32),
        scores=np.repeat(SCORES, rows, axis=0),
        users=Users(
            ids=np.arange(rows),
            known=np.ones(rows, dtype=bool),
            indptr=np.zeros(rows + 1, dtype=np.int64),
            items=np.zeros(0, dtype=np.int32),
            n_items=5,
        ),
        popularity=np.array([5, 4, 3, 2, 1]),
        item_features={"genre": csr_matrix(GENRES)},
        labels=np.tile(np.array([0, 0, 0, 0, 1], dtype=np.float32), (rows, 1)),
    )
    module = inprocess.candidate("listwise_attention", zoo.source("listwise_attention"))
    assert reranked("listwise_attention", lists()) == [0, 1, 2, 3, 4]
    fitted = inprocess.fit(
        module,
        train,
        Budget(seconds=60),
        epochs=30,
        learning_rate=0.02,  # type: ignore[arg-type]
    )
    losses = [loss for _, loss in fitted.progress]
    assert losses[-1] < losses[0] / 2
    assert fitted.model.rerank(lists(), 1)[0, 0] == 4
    assert np.array_equal(fitted.model.rerank(lists(), 5), fitted.trained.rerank(lists(), 5))


@pytest.mark.parametrize("name", ["identity", "mmr", "calibration", "dpp", "listwise_attention"])
def test_every_re_ranker_keeps_the_items_and_takes_short_lists(name: str) -> None:
    items = np.array([[2, 4, -1, -1, -1]], dtype=np.int32)
    scores = np.array([[0.5, 0.5, 0.0, 0.0, 0.0]], dtype=np.float32)
    found = reranked(name, lists(items=items, scores=scores), k=3)
    assert tuple(found) in {(*order, -1) for order in permutations([2, 4])}
    assert reranked(name, lists(item_features={}), k=2)[0] == 0
