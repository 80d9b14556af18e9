"""From a fitted model to ranked lists: blocks, masking, top-k, tie-breaks.

The sandbox runner and every exported package run this same file, so that what a user gets is what
was measured. It needs numpy only and imports nothing of evolver: `users` is a contract `Users`.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 256
"""Users scored at once. Fixed, since matrix products may round differently in other shapes."""
CELLS = 32_000_000
"""Scores held at once; with a large catalogue a block has fewer users."""
NOBODY = -1
"""Fills the end of a list when fewer than k items can be recommended."""


def block_size(n_items: int) -> int:
    """How many users are scored at once for a catalogue of this size."""
    return max(1, min(BLOCK, CELLS // max(n_items, 1)))


def tie_order(n_items: int, seed: int) -> NDArray[np.uint64]:
    """(n_items,) a seeded hash of each item number (SplitMix64); of equal scores the lower wins.

    Popularity and co-occurrence counts tie often, and the order of items in a file can leak.
    """
    mask = (1 << 64) - 1
    start = np.uint64((seed * 0x9E3779B97F4A7C15 + 0xD1B54A32D192ED03) & mask)
    with np.errstate(over="ignore"):
        x = np.arange(1, n_items + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + start
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))


def top_k(
    scores: Any,
    indptr: NDArray[np.int64],
    items: NDArray[np.int32],
    k: int,
    *,
    repeats: bool = False,
    tie_seed: int = 0,
    ties: NDArray[np.uint64] | None = None,
) -> NDArray[np.int32]:
    """(b, k) int32 item numbers, best first, from (b, n_items) scores, compared as float32.

    The history of row r is items[indptr[r]:indptr[r + 1]]; it is left out unless `repeats`. Items
    scored -inf are never listed. Lists that run out of items end in -1. `ties` may carry
    `tie_order(n_items, tie_seed)` from one call to the next. Raises ValueError on NaN or +inf.
    """
    matrix = np.array(scores, dtype=np.float32, ndmin=2, order="C")  # a copy: masking writes
    rows, n_items = matrix.shape
    if matrix.size and not matrix.max() < np.inf:  # a NaN is the maximum too
        raise ValueError("scores hold NaN or +inf")
    if not repeats and len(items):
        matrix[np.repeat(np.arange(rows), np.diff(indptr)), items] = -np.inf
    if ties is None:
        ties = tie_order(n_items, tie_seed)
    width = min(k, n_items)
    out = np.full((rows, k), NOBODY, dtype=np.int32)
    if width == 0:
        return out
    flat = np.flatnonzero(_contenders(matrix, width, ties))
    row, item = np.divmod(flat, n_items)
    order = np.lexsort((ties[item], -matrix.ravel()[flat], row))
    row, item = row[order], item[order]
    place = np.arange(len(row)) - np.searchsorted(row, np.arange(rows))[row]
    kept = place < width
    out[row[kept], place[kept]] = item[kept]
    return out


def _contenders(
    matrix: NDArray[np.float32], width: int, ties: NDArray[np.uint64]
) -> NDArray[np.bool_]:
    """(b, n_items) which items can be among the best `width` of their row; not many more."""
    least = _last_place(matrix, width)[:, None]
    inside = (matrix >= least) & (matrix > -np.inf)
    # A model that scores most of the catalogue alike ties nearly all of it for the last places.
    crowded = np.flatnonzero(np.count_nonzero(inside, axis=1) > 2 * width)
    if len(crowded):
        by_tie = np.argsort(ties)
        above = matrix[crowded] > least[crowded]
        tied = (matrix[crowded] == least[crowded])[:, by_tie]
        room = width - np.count_nonzero(above, axis=1)[:, None]
        tied &= np.cumsum(tied, axis=1, dtype=np.int32) <= room
        above[:, by_tie] |= tied
        inside[crowded] = above
    return inside


def _last_place(matrix: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """(b,) the `width`-th largest number of each row."""
    if "torch" in sys.modules:  # some nine times faster than numpy's partition, and as exact
        torch = sys.modules["torch"]
        return np.asarray(torch.topk(torch.from_numpy(matrix), width).values[:, -1].numpy())
    place = matrix.shape[1] - width
    return np.asarray(np.partition(matrix, place, axis=1)[:, place])


def rank(
    model: Any, users: Any, k: int, *, repeats: bool = False, tie_seed: int = 0
) -> NDArray[np.int32]:
    """(len(users), k) int32: what a fitted model recommends, block by block.

    Uses the model's `score` if it has one, else its `recommend`, which is asked for enough items
    to leave the history out. Raises ValueError with a reason when what comes back is no ranking.
    """
    n_items = int(users.n_items)
    ties = tie_order(n_items, tie_seed)
    step = block_size(n_items)
    out = np.full((len(users), k), NOBODY, dtype=np.int32)
    for start in range(0, len(users), step):
        block = users[start : start + step]
        if hasattr(model, "score"):
            scores = as_scores(model.score(block), len(block), n_items)
            lists = top_k(
                scores, block.indptr, block.items, k, repeats=repeats, tie_seed=tie_seed, ties=ties
            )
        else:
            longest = 0 if repeats or not len(block) else int(np.diff(block.indptr).max())
            raw = _as_numpy(model.recommend(block, min(n_items, k + longest)))
            lists = _clean(raw, block, k, repeats)
        out[start : start + step] = lists
    return out


def as_scores(raw: Any, rows: int, n_items: int) -> NDArray[np.float32]:
    """(rows, n_items) float32 of what `score` returned: numpy, torch or a sparse matrix."""
    scores = _as_numpy(raw)
    if scores.shape != (rows, n_items):
        raise ValueError(f"score returned shape {scores.shape}; expected {(rows, n_items)}")
    if scores.dtype.kind not in "fiub":
        raise ValueError(f"score returned dtype {scores.dtype}; expected real numbers")
    return scores.astype(np.float32, copy=False)


def _as_numpy(raw: Any) -> NDArray[Any]:
    if hasattr(raw, "detach"):  # torch
        raw = raw.detach().cpu()
        if str(raw.dtype) in {"torch.bfloat16", "torch.float16"}:
            raw = raw.float()
        return np.asarray(raw.numpy())
    if hasattr(raw, "toarray"):  # scipy.sparse
        return np.asarray(raw.toarray())
    return np.asarray(raw)


def _clean(raw: NDArray[Any], block: Any, k: int, repeats: bool) -> NDArray[np.int32]:
    """Check lists that a model made itself, leave the history out, cut to k."""
    if raw.ndim != 2 or len(raw) != len(block):
        raise ValueError(f"recommend returned shape {raw.shape}; expected ({len(block)}, k)")
    if raw.dtype.kind not in "iu":
        raise ValueError(f"recommend returned dtype {raw.dtype}; expected whole numbers")
    if raw.size and (int(raw.min()) < NOBODY or int(raw.max()) >= block.n_items):
        raise ValueError(f"recommend returned an item outside 0 to {block.n_items - 1}")
    out = np.full((len(block), k), NOBODY, dtype=np.int32)
    for row in range(len(block)):
        listed = raw[row][raw[row] != NOBODY].astype(np.int64)
        if len(np.unique(listed)) != len(listed):
            raise ValueError("recommend returned an item twice for one user")
        if not repeats:
            listed = listed[~np.isin(listed, block.history(row))]
        out[row, : min(k, len(listed))] = listed[:k]
    return out
