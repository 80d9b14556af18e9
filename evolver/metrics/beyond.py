"""What lists do beyond hitting held-out items: how wide, how familiar, how alike.

All take lists (q, k) int32, best first, -1 as padding, and how often each item occurs in training.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from evolver.metrics.membership import blocks

HEAD_SHARE = 0.2


def exposure(lists: NDArray[np.int32], n_items: int) -> NDArray[np.int64]:
    """(n_items,): on how many lists each item is."""
    return np.bincount(lists[lists >= 0], minlength=n_items).astype(np.int64)


def coverage(shown: NDArray[np.int64]) -> float:
    """Share of the catalogue that is on at least one list, from `exposure`."""
    return float(np.count_nonzero(shown) / len(shown)) if len(shown) else 0.0


def gini(shown: NDArray[np.int64]) -> float:
    """How unequally the places are shared out among all items: 0 evenly, towards 1 all to one."""
    total, n = int(shown.sum()), len(shown)
    if total == 0:
        return 0.0
    ranks = np.arange(1, n + 1)
    return float(((2 * ranks - n - 1) @ np.sort(shown).astype(np.float64)) / (n * total))


def novelty(shown: NDArray[np.int64], popularity: NDArray[np.int64]) -> float:
    """Mean self-information of what is shown, in bits: -log2 of an item's share of training.

    Shares are smoothed by one interaction for each item, so an unseen item has a finite value.
    Vargas and Castells (2011) name it; higher is less familiar.
    """
    total = int(shown.sum())
    if total == 0:
        return 0.0
    share = (popularity + 1) / (popularity.sum() + len(popularity))
    return float((shown @ -np.log2(share)) / total)


def head(popularity: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(n_items,) bool: the fewest most popular items that hold a fifth of training interactions.

    Equally popular items enter by their number, lower first.
    """
    order = np.argsort(-popularity, kind="stable")
    running = np.cumsum(popularity[order])
    inside = np.zeros(len(popularity), dtype=bool)
    if len(running) and running[-1] > 0:
        size = int(np.searchsorted(running, HEAD_SHARE * running[-1])) + 1
        inside[order[:size]] = True
    return inside


def popularity_share(shown: NDArray[np.int64], popularity: NDArray[np.int64]) -> float:
    """Share of the places that go to the `head`. About 0.2 is how people choose by themselves;
    1 is a list of hits only."""
    total = int(shown.sum())
    return float(shown[head(popularity)].sum() / total) if total else 0.0


def diversity(lists: NDArray[np.int32], features: csr_matrix) -> float | None:
    """Mean over lists of the mean cosine distance between two of its items (Ziegler et al., 2005).

    features: (n_items, width). Items without features are left out; None where no list has two
    items with features.
    """
    found = diversities(lists, features)
    told = ~np.isnan(found)
    return float(found[told].mean()) if told.any() else None


def diversities(lists: NDArray[np.int32], features: csr_matrix) -> NDArray[np.float64]:
    """(q,) the mean cosine distance between two items of each list; NaN where it has no two items
    with features."""
    rows = csr_matrix(features, dtype=np.float64, copy=True)
    norms = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
    described = norms > 0
    rows.data /= np.repeat(np.where(described, norms, 1.0), np.diff(rows.indptr))
    found = np.full(len(lists), np.nan)
    for block in blocks(len(lists), rows.shape[0]):
        part = lists[block]
        use = (part >= 0) & described[np.maximum(part, 0)]
        sizes = use.sum(axis=1)
        indptr = np.concatenate([[0], np.cumsum(sizes)])
        picks = csr_matrix((np.ones(indptr[-1]), part[use], indptr), (len(part), rows.shape[0]))
        sums = picks @ rows
        squared = np.asarray(sums.multiply(sums).sum(axis=1)).ravel()
        pairs = sizes * (sizes - 1.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            # |sum of unit vectors|^2 = size + sum of cosines over ordered pairs
            found[block] = np.where(pairs > 0, 1.0 - (squared - sizes) / pairs, np.nan)
    return found


def novelties(lists: NDArray[np.int32], popularity: NDArray[np.int64]) -> NDArray[np.float64]:
    """(q,) the mean self-information of each list's items, as `novelty` has it, as a share of the
    most there is: that of an item nobody took. 0 for an empty list."""
    most = np.log2(popularity.sum() + len(popularity))
    bits = most - np.log2(popularity + 1.0)
    shown = lists >= 0
    total = np.where(shown, bits[np.maximum(lists, 0)], 0.0).sum(axis=1)
    return np.asarray(total / np.maximum(shown.sum(axis=1), 1) / max(most, 1e-12))
