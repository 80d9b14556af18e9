"""The bundled sample: quick, repeatable, and with something to learn in it."""

from __future__ import annotations

import numpy as np

from evolver.config import SplitConfig
from evolver.data.sample import sample
from evolver.data.split import Fold, make_fold, make_split


def hit_rate(scores: np.ndarray, fold: Fold, k: int = 10) -> float:
    """Mean recall@k over queries, what is in the history left out."""
    scores = np.where(fold.queries.matrix().toarray() > 0, -np.inf, scores)
    top = np.argsort(-scores, axis=1)[:, :k]
    shares = []
    for row in range(len(fold.queries)):
        labels = fold.labels.items[fold.labels.indptr[row] : fold.labels.indptr[row + 1]]
        shares.append(np.isin(top[row], labels).sum() / len(labels))
    return float(np.mean(shares))


def test_equal_arguments_give_an_equal_sample():
    small = {"users": 80, "items": 200, "rows": 2_000}
    assert sample(**small).fingerprint == sample(**small).fingerprint
    assert sample(**small, seed=1).fingerprint != sample(**small, seed=2).fingerprint


def test_sample_has_the_shape_it_promises():
    data = sample()
    assert data.n_users == 1_500
    assert 780 <= data.n_items <= 800
    assert 50_000 <= len(data) <= 70_000
    assert data.times is not None
    assert (np.lexsort((data.times, data.users)) == np.arange(len(data))).all()
    pairs = data.users.astype(np.int64) * data.n_items + data.items
    assert len(np.unique(pairs)) == len(pairs)
    popularity = np.sort(np.bincount(data.items))[::-1]
    assert popularity[: data.n_items // 10].sum() > 0.3 * len(data)  # the long tail
    assert data.item_features["category"].shape == (data.n_items, 16)
    assert abs(data.item_features["price"].toarray().std() - 1) < 0.01


def test_neighbours_beat_popularity_clearly_and_the_last_item_tells_more():
    fold = make_fold(*_split("time"), "search", repeats=False)
    rows = len(fold.queries)
    assert fold.counts.known_users > 500
    popular = hit_rate(np.tile(fold.train.popularity(), (rows, 1)).astype(float), fold)
    matrix = fold.train.matrix()
    together = (matrix.T @ matrix).toarray()
    np.fill_diagonal(together, 0)
    norm = np.sqrt(fold.train.popularity()) + 1e-9
    similar = together / norm[:, None] / norm[None, :]
    assert hit_rate(fold.queries.matrix() @ similar, fold) > 2 * popular

    fold = make_fold(*_split("order"), "search", repeats=False)
    last = fold.queries.last(1, 0)[:, 0]
    train = fold.train
    follows = np.zeros((train.n_items, train.n_items))
    same_user = train.users[1:] == train.users[:-1]
    np.add.at(follows, (train.items[:-1][same_user], train.items[1:][same_user]), 1.0)
    popular = hit_rate(np.tile(train.popularity(), (len(last), 1)).astype(float), fold)
    assert hit_rate(follows[last], fold) > 1.8 * popular


def _split(kind: str):
    data = sample()
    return data, make_split(data, SplitConfig(kind=kind), 0)  # type: ignore[arg-type]
