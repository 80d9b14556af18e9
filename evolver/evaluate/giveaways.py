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


def giveaways(fold: Fold, later: NDArray[np.int64] | None = None) -> Iterator[str]:
    """One line for each feature that tells what no feature should.

    Item side: a column that follows how often items are held out, beyond their popularity in
    training, as a count over all data does; `later`: (n_items,) counts over all that comes after
    training, for a column may have been computed from that. User side: what the features of half
    of the users say about held-out items is learned and tried on the other half; a hit among 10
    for most users, and three times as often as by popularity, is more than a profile can know.
    """
    yield from _item_side(fold, later)
    yield from _user_side(fold)


def _item_side(fold: Fold, later: NDArray[np.int64] | None) -> Iterator[str]:
    n_items = fold.train.n_items
    popularity = fold.train.popularity().astype(np.float64)
    held_out = [np.bincount(fold.labels.items, minlength=n_items).astype(np.float64)]
    if later is not None:
        held_out.append(later.astype(np.float64))
    for name, matrix in fold.train.item_features.items():
        logs = _logarithms(matrix)
        plain = np.max([_partial(matrix, taken, popularity) for taken in held_out], axis=0)
        small = np.max(
            [_partial(logs, np.log1p(taken), np.log1p(popularity)) for taken in held_out], axis=0
        )
        negative = np.asarray(matrix.min(axis=0).todense()).ravel() < 0
        strength = np.maximum(plain, np.where(negative, 0.0, small))
        filled = np.bincount(matrix.indices, minlength=matrix.shape[1])
        for column in np.flatnonzero((filled >= 20) & (strength > _ITEM_STRENGTH)):
            yield (
                f"item feature {name!r}, column {column}, follows how often items are held out "
                f"(correlation {strength[column]:.2f} beyond training popularity); it was computed "
                "from all of the data: leave it out, or compute it from training rows"
            )


def _logarithms(matrix: csr_matrix) -> csr_matrix:
    """log(1 + x) of what is stored; columns with negative values are not looked at."""
    logs = matrix.astype(np.float64)
    logs.data = np.log1p(np.maximum(logs.data, 0.0))
    return logs


def _partial(
    matrix: csr_matrix, taken: NDArray[np.float64], given: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(columns,) |correlation| of each column with `taken` after both are regressed on `given`; 0
    where nothing is left. From sums over what is stored, so that wide features cost little."""
    columns = matrix.astype(np.float64)
    with_taken = _correlations(columns, taken)
    with_given = _correlations(columns, given)
    known = float(np.corrcoef(taken, given)[0, 1]) if taken.std() and given.std() else 0.0
    left = (1 - with_given**2) * (1 - known**2)
    usable = left > 1e-12
    rest = np.abs(with_taken - with_given * known)
    return np.where(usable, rest / np.sqrt(np.where(usable, left, 1.0)), 0.0)


def _correlations(columns: csr_matrix, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(columns,) Pearson correlation with one vector; 0 for what does not vary."""
    rows = columns.shape[0]
    centred = values - values.mean()
    means = np.asarray(columns.sum(axis=0)).ravel() / rows
    squares = np.asarray(columns.multiply(columns).sum(axis=0)).ravel()
    around = squares - rows * means**2
    scatter = float((centred**2).sum())
    usable = (around > 1e-12 * squares) & (scatter > 1e-12 * float((values**2).sum()))
    together = np.asarray(columns.T @ centred).ravel()
    return np.where(usable, together / np.sqrt(np.where(usable, around * scatter, 1.0)), 0.0)


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
