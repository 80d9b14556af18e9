"""A bandit of serving decisions built from real interactions, so that its truth is known.

Real: who took what, in what order, who the users are, which lists real recall models give them from
the first half of their history. Modelled: whether they would take an item, by a model fitted to
the second half only, and how fast they tire of items of a kind.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.special import expit, softmax
from sklearn.utils.extmath import randomized_svd

from evolver.data.dataset import Dataset
from evolver.errors import DataError
from evolver.serving.decisions import ServingSpace, serve
from evolver.serving.simulate import TableBandit

Floats = NDArray[np.float64]
Lists = dict[str, tuple[NDArray[np.int64], Floats]]

LENGTH = 30
"""Items of a recall list."""
SHOWN = 10
"""Items of the list that a user sees; its reward is whether they take one."""
_RANK = 24


def space() -> ServingSpace:
    """24 decisions: mixes of three recall lists in halves, with all or few popular items, with and
    without variety."""
    full = {"knn": LENGTH, "svd": LENGTH, "pop": LENGTH}
    return ServingSpace(
        lists=("knn", "svd", "pop"),
        steps=2,
        quotas=(full, {**full, "pop": 5}),
        diversities=(0.0, 0.4),
    )


def from_interactions(dataset: Dataset, *, seed: int = 0) -> TableBandit:
    """The bandit of a data set whose interactions have an order and whose items have genres.

    Raises `DataError` where the data has neither.
    """
    if "genre" not in dataset.item_features:
        raise DataError(f"{dataset.name} has no genres; this simulation needs them")
    if not dataset.ordered and dataset.times is None:
        raise DataError(f"{dataset.name} has no order; this simulation needs one")
    past, future = _halves(dataset)
    kinds = np.asarray(dataset.item_features["genre"].toarray(), dtype=np.float64)
    kinds /= np.maximum(np.linalg.norm(kinds, axis=1, keepdims=True), 1e-9)
    context, breadth = _context(dataset, past, kinds)
    attraction = _attraction(future, seed)
    lists, decisions = _recall(past, seed), space()
    chances = np.stack(
        [
            _reward(serve(d, lists, kinds, SHOWN), attraction, kinds, breadth)
            for d in decisions.decisions
        ],
        axis=1,
    )
    return TableBandit(
        context=context,
        names=decisions.names,
        chances=chances,
        logging=_logging(context, decisions),
        features=decisions.features(),
    )


def _halves(dataset: Dataset) -> tuple[csr_matrix, csr_matrix]:
    """(users, items) matrices of each user's earlier and later half."""
    counts = np.bincount(dataset.users, minlength=dataset.n_users)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    early = np.arange(len(dataset)) - starts[dataset.users] < counts[dataset.users] // 2
    shape, found = (dataset.n_users, dataset.n_items), []
    for rows in (early, ~early):
        places = (dataset.users[rows], dataset.items[rows])
        matrix = csr_matrix((np.ones(int(rows.sum())), places), shape=shape)
        matrix.data[:] = 1.0
        found.append(matrix)
    return found[0], found[1]


def _context(
    dataset: Dataset, past: csr_matrix, kinds: Floats
) -> tuple[pl.DataFrame, NDArray[np.float64]]:
    """What is known of users before, and how broad their taste is, 0 to 1."""
    lengths = np.asarray(past.sum(axis=1)).ravel()
    popularity = np.log1p(np.asarray(past.sum(axis=0)).ravel())
    shares = np.asarray(past @ kinds) + 1e-9
    shares /= shares.sum(axis=1, keepdims=True)
    entropy = -(shares * np.log(shares)).sum(axis=1)
    columns = {
        "activity": np.log1p(lengths),
        "mainstream": np.asarray(past @ popularity) / np.maximum(lengths, 1),
        "breadth": entropy,
    }
    frame = pl.DataFrame(columns)
    for name in ("gender", "age"):
        if name in dataset.user_features:
            level = np.asarray(dataset.user_features[name].argmax(axis=1)).ravel()
            frame = frame.with_columns(pl.Series(name, level).cast(pl.String))
    order = np.argsort(np.argsort(entropy, kind="stable"), kind="stable")
    return frame, np.asarray(order / max(len(order) - 1, 1), dtype=np.float64)


def _low_rank(matrix: csr_matrix, seed: int) -> Floats:
    """(users, items) the matrix through its first singular vectors."""
    left, values, right = randomized_svd(matrix, n_components=_RANK, random_state=seed)
    return np.asarray((left * values) @ right)


def _recall(past: csr_matrix, seed: int) -> Lists:
    """Lists of item-kNN (cosine), truncated SVD and popularity, without what users had."""
    norms = np.sqrt(np.maximum(np.asarray(past.sum(axis=0)).ravel(), 1.0))
    scaled = past.multiply(1.0 / norms).tocsr()
    likeness = np.asarray((scaled.T @ scaled).toarray(), dtype=np.float32)
    np.fill_diagonal(likeness, 0.0)
    had = past.toarray().astype(bool)
    every = {
        "knn": np.asarray(past.astype(np.float32) @ likeness, dtype=np.float64),
        "svd": _low_rank(past, seed),
        "pop": np.broadcast_to(np.asarray(past.sum(axis=0)).ravel(), past.shape),
    }
    found: Lists = {}
    for name, scores in every.items():
        open_ = np.where(had, -np.inf, scores)
        near = np.argpartition(-open_, LENGTH, axis=1)[:, :LENGTH]
        order = np.argsort(-np.take_along_axis(open_, near, 1), axis=1, kind="stable")
        items = np.take_along_axis(near, order, 1)
        values = np.take_along_axis(open_, items, 1)
        found[name] = (items.astype(np.int64), np.where(np.isfinite(values), values, 0.0))
    return found


def _attraction(future: csr_matrix, seed: int) -> Floats:
    """(users, items) chance that an item that is looked at is taken, by a model of the later half;
    about 5% of a user's items are worth more than an even chance relative to their best."""
    scores = _low_rank(future, seed + 1)
    mean, deviation = scores.mean(axis=1, keepdims=True), scores.std(axis=1, keepdims=True)
    return np.asarray(expit(-4.5 + 0.7 * (scores - mean) / np.maximum(deviation, 1e-9)))


def _reward(shown: NDArray[np.int64], attraction: Floats, kinds: Floats, breadth: Floats) -> Floats:
    """(users,) chance that something is taken. The n-th item is looked at with chance
    1 / log2(n + 1); one that is like an item above attracts less, the more so the broader the
    user's taste."""
    users, nothing = np.arange(len(shown)), np.ones(len(shown))
    alike = np.zeros(len(shown))
    for place in range(shown.shape[1]):
        item, there = shown[:, place], shown[:, place] >= 0
        if place:
            above = kinds[shown[:, :place]]
            alike = np.einsum("upd,ud->up", above, kinds[item]).max(axis=1)
        chance = attraction[users, item] / np.log2(place + 2) * (1 - 0.8 * breadth * alike)
        nothing *= 1 - np.where(there, chance, 0.0)
    return np.asarray(1 - nothing)


def _logging(context: pl.DataFrame, decisions: ServingSpace) -> Floats:
    """(users, K) half by chance, half by a rule of thumb: popular items for the less active."""
    activity = context["activity"].to_numpy()
    spread = (activity - activity.mean()) / max(float(activity.std()), 1e-9)
    popular = np.array([d.weights["pop"] for d in decisions.decisions])
    rule = softmax(-2.0 * spread[:, None] * popular[None, :], axis=1)
    return np.asarray(0.5 * rule + 0.5 / len(popular))
