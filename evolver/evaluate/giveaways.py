"""Does a feature of a user or an item give the held-out items away?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from evolver.data.split import Fold

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_ITEM_STRENGTH = 0.9
_HALF = 2000
_BINS = 32


def giveaways(fold: Fold) -> Iterator[str]:
    """One line for each feature that tells what no feature should.

    Item side: a column that follows how often items are held out, beyond their popularity in
    training, as a count over all data does. User side: what the features of half of the users say
    about held-out items is learned and tried on the other half; a hit among 10 for most users, and
    three times as often as by popularity, is more than a profile can know.
    """
    yield from _item_side(fold)
    yield from _user_side(fold)


def _item_side(fold: Fold) -> Iterator[str]:
    n_items = fold.train.n_items
    popularity = fold.train.popularity().astype(np.float64)
    taken = np.bincount(fold.labels.items, minlength=n_items).astype(np.float64)
    for name, matrix in fold.train.item_features.items():
        filled = np.bincount(matrix.indices, minlength=matrix.shape[1])
        for column in np.flatnonzero(filled >= 20):
            values = np.asarray(matrix[:, [column]].todense(), dtype=np.float64).ravel()
            strength = max(
                _partial(shape(values), shape(taken), shape(popularity))
                for shape in (_plain, np.log1p)
                if shape is _plain or values.min() >= 0
            )
            if strength > _ITEM_STRENGTH:
                yield (
                    f"item feature {name!r}, column {column}, follows how often items are held out "
                    f"(correlation {strength:.2f} beyond training popularity); it was computed "
                    "from all of the data: leave it out, or compute it from training rows"
                )


def _plain(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values


def _partial(a: NDArray[np.float64], b: NDArray[np.float64], given: NDArray[np.float64]) -> float:
    """|correlation| of a and b after both are regressed on `given`; 0 where nothing is left."""
    base = np.stack([np.ones(len(a)), given], axis=1)
    both = np.stack([a, b], axis=1)
    rest = both - base @ np.linalg.lstsq(base, both, rcond=None)[0]
    spread = rest.std(axis=0)
    if (spread <= 1e-9 * np.abs(both).max(axis=0)).any():
        return 0.0
    return abs(float((rest[:, 0] * rest[:, 1]).mean() / (spread[0] * spread[1])))


def _user_side(fold: Fold) -> Iterator[str]:
    from scipy.sparse import csr_matrix

    queries, n_items = fold.queries, fold.train.n_items
    picks = np.random.default_rng(0).permutation(len(queries))[: 2 * _HALF]
    if len(picks) < 40:
        return
    learn, check = np.sort(picks[::2]), np.sort(picks[1::2])
    indptr, items = fold.labels.indptr, fold.labels.items
    labels = csr_matrix((np.ones(len(items)), items, indptr), shape=(len(queries), n_items))
    overall = np.asarray(labels[learn].sum(axis=0)).ravel()
    by_popularity = _hits(np.tile(overall, (1, 1)), labels[check])
    for name, matrix in fold.train.user_features.items():
        features = _binned(matrix[queries.ids])
        learned = features[learn].T @ labels[learn]
        # An item scores by its share among the users with a feature value, not by its count
        sizes = np.asarray(features[learn].sum(axis=0)).ravel()
        learned = csr_matrix(learned.multiply(1.0 / np.maximum(sizes, 1.0)[:, None]))
        hits = _hits(features[check] @ learned, labels[check])
        if hits > max(0.5, 3 * by_popularity):
            yield (
                f"user feature {name!r} alone puts a held-out item among the first 10 for "
                f"{hits:.0%} of users (popularity: {by_popularity:.0%}); it knows the answer: "
                "leave it out"
            )


def _binned(matrix: csr_matrix) -> csr_matrix:
    """0/1 columns: a sparse column as it is, a full one of many values cut at its quantiles."""
    from scipy.sparse import csc_matrix, hstack

    columns = csc_matrix(matrix, dtype=np.float64)
    parts = []
    for number in range(columns.shape[1]):
        values = columns.data[columns.indptr[number] : columns.indptr[number + 1]]
        column = columns[:, [number]]
        if len(values) > columns.shape[0] // 2 and len(np.unique(values)) > 2:
            dense = np.asarray(column.todense()).ravel()
            edges = np.unique(np.quantile(dense, np.linspace(0, 1, _BINS + 1)[1:-1]))
            codes = np.searchsorted(edges, dense)
            rows = np.arange(len(dense))
            column = csc_matrix(
                (np.ones(len(dense)), (rows, codes)), shape=(len(dense), len(edges) + 1)
            )
        else:
            column.data[:] = 1.0
        parts.append(column)
    return hstack(parts, format="csr")


def _hits(scores: csr_matrix | NDArray[np.float64], labels: csr_matrix) -> float:
    """Share of users with a label among the 10 highest scores. One row of scores serves all."""
    found = 0
    k = min(10, labels.shape[1])
    for start in range(0, labels.shape[0], 256):
        block = labels[start : start + 256].toarray()
        if isinstance(scores, np.ndarray):
            dense = np.broadcast_to(scores, block.shape)
        else:
            dense = scores[start : start + 256].toarray()
        top = np.argpartition(-dense, k - 1, axis=1)[:, :k]
        hit = np.take_along_axis(block, top, axis=1) * (np.take_along_axis(dense, top, axis=1) > 0)
        found += int((hit > 0).any(axis=1).sum())
    return found / int(labels.shape[0])
