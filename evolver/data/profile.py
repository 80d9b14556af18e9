"""What a dataset is like, in numbers: for people, for prompts, and for warnings.

How users behave is measured on the training part only, so that a proposer who reads the profile
learns nothing of what candidates are judged on; of the other parts only sizes are told, and how
popularity moves from training to the search part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from evolver.contract import Interactions
from evolver.core import PartName
from evolver.data.dataset import Dataset
from evolver.data.split import Fold, Split, distinct, interactions, make_fold

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Folds = Mapping[PartName, Fold]


def folds_of(dataset: Dataset, split: Split, repeats: bool = False) -> dict[PartName, Fold]:
    """All three folds. Raises `DataError` where a part has nobody to ask for."""
    names: tuple[PartName, ...] = ("search", "promotion", "test")
    return {name: make_fold(dataset, split, name, repeats) for name in names}


def profile(dataset: Dataset, split: Split | None, repeats: bool = False) -> dict[str, Any]:
    """Sizes, long tail, repeats, times, drift, features and cold-start shares; JSON-able.

    Without a split behaviour is measured on all rows and no part is described.
    """
    folds = {} if split is None else folds_of(dataset, split, repeats)
    return describe(dataset, split, folds)


def describe(dataset: Dataset, split: Split | None, folds: Folds) -> dict[str, Any]:
    """`profile` from folds that are already made."""
    train = folds["search"].train if folds else interactions(dataset, np.ones(len(dataset), bool))
    popularity = train.popularity()
    found: dict[str, Any] = {
        "name": dataset.name,
        "fingerprint": dataset.fingerprint,
        "rows": len(dataset),
        "users": dataset.n_users,
        "items": dataset.n_items,
        "density": len(dataset) / (dataset.n_users * dataset.n_items),
        "ordered": dataset.ordered or dataset.times is not None,
        "measured_on": "train" if folds else "all rows",
        "rows_per_user": _spread(np.bincount(train.users)),
        "rows_per_item": _spread(popularity),
        "long_tail": long_tail(popularity),
        "repeat_rate": repeat_rate(train),
        "times": _times(dataset, train),
        "values": _values(train),
        "user_features": _widths(dataset.user_features),
        "item_features": _widths(dataset.item_features),
        "notes": list(dataset.notes),
    }
    if split is not None and folds:
        found["split"] = {
            "kind": split.kind,
            "seed": split.seed,
            "cutoffs": [_iso(second) for second in split.cutoffs],
            "notes": list(split.notes),
        }
        found["parts"] = {"train": _train_size(train)}
        found["parts"] |= {name: _part(fold) for name, fold in folds.items()}
        found["drift"] = drift(dataset, split)
    return found


def long_tail(popularity: NDArray[np.int64]) -> dict[str, float]:
    """How unequal items are. gini: 0 all alike, towards 1 all rows on one item."""
    taken = np.sort(popularity[popularity > 0])[::-1].astype(np.float64)
    n, total = len(taken), taken.sum()
    if not n:
        return {}
    ranks = np.arange(n, 0, -1)
    running = np.cumsum(taken) / total
    return {
        "gini": float(((2 * ranks - n - 1) @ taken) / (n * total)),
        "share_of_top_1_percent": float(running[max(1, round(n / 100)) - 1]),
        "share_of_top_10_percent": float(running[max(1, round(n / 10)) - 1]),
        "items_for_half_of_rows": int(np.searchsorted(running, 0.5) + 1),
        "items_with_one_row": int((taken == 1).sum()),
    }


def repeat_rate(train: Interactions) -> float:
    """Share of rows whose user took the item before."""
    pairs = train.users.astype(np.int64) * train.n_items + train.items
    return 1.0 - len(distinct(pairs)) / len(pairs) if len(pairs) else 0.0


def tied_share(train: Interactions) -> float:
    """Share of rows with the same time as the row before of the same user."""
    if train.times is None or len(train) < 2:
        return 0.0
    same = (np.diff(train.users) == 0) & (np.diff(train.times) == 0)
    return float(same.sum() / len(train))


def drift(dataset: Dataset, split: Split) -> dict[str, float]:
    """How popularity in the search part differs from training.

    jensen_shannon: in bits, 0 equal to 1 disjoint (Lin 1991). by_chance: the same for a random
    choice of rows as large, which small parts have without any drift. top_100_overlap: share of
    the hundred most popular items that are the same.
    """
    inside = np.flatnonzero(split.assignment <= 1)
    later = split.assignment[inside] == 1
    items, n = dataset.items[inside], dataset.n_items
    before, after = _counts(items[~later], n), _counts(items[later], n)
    shuffled = np.random.default_rng(0).permutation(later)
    chance = jensen_shannon(_counts(items[~shuffled], n), _counts(items[shuffled], n))
    k = min(100, n)
    top = [set(np.argsort(-counts, kind="stable")[:k].tolist()) for counts in (before, after)]
    return {
        "jensen_shannon": jensen_shannon(before, after),
        "by_chance": chance,
        "top_100_overlap": len(top[0] & top[1]) / k,
    }


def jensen_shannon(one: NDArray[np.int64], other: NDArray[np.int64]) -> float:
    """Divergence in bits of two sets of counts over the same items."""
    p, q = one / max(1, one.sum()), other / max(1, other.sum())
    middle = (p + q) / 2
    total = 0.0
    for share in (p, q):
        some = share > 0
        total += float((share[some] * np.log2(share[some] / middle[some])).sum()) / 2
    return max(0.0, total)


def _counts(items: NDArray[np.int32], n: int) -> NDArray[np.int64]:
    return np.bincount(items, minlength=n).astype(np.int64)


def _spread(counts: NDArray[np.int64]) -> dict[str, float]:
    counts = counts[counts > 0]
    if not len(counts):
        return {}
    low, middle, high = np.quantile(counts, [0.1, 0.5, 0.9])
    return {
        "mean": float(counts.mean()),
        "p10": float(low),
        "p50": float(middle),
        "p90": float(high),
        "max": int(counts.max()),
    }


def _times(dataset: Dataset, train: Interactions) -> dict[str, Any] | None:
    if dataset.times is None or train.times is None or not len(train):
        return None
    first, last = int(dataset.times.min()), int(dataset.times.max())
    gaps = np.diff(train.times)[np.diff(train.users) == 0]
    return {
        "first": _iso(first),
        "last": _iso(last),
        "days": (last - first) / 86_400,
        "distinct": len(distinct(dataset.times)),
        "tied_share": tied_share(train),
        "median_gap_seconds": float(np.median(gaps)) if len(gaps) else None,
    }


def _values(train: Interactions) -> dict[str, float] | None:
    if train.values is None or not len(train):
        return None
    return {
        "min": float(train.values.min()),
        "mean": float(train.values.mean(dtype=np.float64)),
        "max": float(train.values.max()),
        "distinct": len(np.unique(train.values)),
    }


def _widths(features: Mapping[str, csr_matrix]) -> dict[str, int]:
    return {name: int(matrix.shape[1]) for name, matrix in features.items()}


def _train_size(train: Interactions) -> dict[str, int]:
    return {
        "rows": len(train),
        "users": int((np.bincount(train.users) > 0).sum()),
        "items": int((train.popularity() > 0).sum()),
    }


def _part(fold: Fold) -> dict[str, Any]:
    counts = fold.counts
    users = counts.known_users + counts.unseen_users + counts.cold_users + counts.repeat_users
    return {
        **asdict(counts),
        "queries": len(fold.queries),
        "labels_per_query": counts.label_rows / len(fold.queries),
        "cold_user_share": counts.cold_users / users,
        "cold_item_share": counts.cold_item_rows / counts.label_rows,
    }


def _iso(second: int) -> str:
    """A time as text; the number itself where no calendar reaches."""
    try:
        return datetime.fromtimestamp(second, tz=UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return str(second)
