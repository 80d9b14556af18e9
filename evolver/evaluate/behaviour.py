"""Canaries in results: a candidate whose answers cannot be what they seem."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evolver.data.split import Fold
from evolver.evaluate.canaries import Alarm
from evolver.metrics.ranking import Metric, per_user
from evolver.metrics.statistics import paired_bootstrap

_BLOCK = 256
_WEIGHT_OF_FUTURE = 5.0  # one held-out item against one of the history; best on public data


def other_batch(queries: int, seed: int) -> NDArray[np.int64]:
    """Half of the queries, in another order: whom to ask for again, in other company."""
    picks = np.random.default_rng(seed).permutation(queries)[: (queries + 1) // 2]
    return picks.astype(np.int64)


def batch_dependence(
    first: NDArray[np.int32], again: NDArray[np.int32], rows: NDArray[np.int64]
) -> Alarm | None:
    """Compare the lists of `rows` when everybody was asked for with those when only they were.

    Same program, same seed. Rounding differs between batch sizes, so a list may have a few places
    swapped; it counts as different when over a tenth of its items are others. Alarm above 1% of
    the users.
    """
    before = first[rows]
    if before.shape != again.shape:
        raise ValueError(f"lists of shapes {before.shape} and {again.shape} cannot be compared")
    indptr = np.concatenate([[0], np.cumsum((before >= 0).sum(axis=1))])
    n_items = int(max(before.max(initial=0), again.max(initial=0))) + 1
    kept = _overlap(again, indptr, before[before >= 0], n_items)
    longest = np.maximum((before >= 0).sum(axis=1), (again >= 0).sum(axis=1))
    different = float((kept < 0.9 * longest).mean()) if len(rows) else 0.0
    if different <= 0.01:
        return None
    return Alarm(
        canary="ranking that depends on the batch",
        severity="alarm",
        detail=f"{different:.0%} of users get another list when others are asked for beside them; "
        "a user's list may depend on the user and on training only",
    )


def _overlap(
    lists: NDArray[np.int32], indptr: NDArray[np.int64], items: NDArray[np.int32], n_items: int
) -> NDArray[np.int64]:
    from evolver.metrics.membership import membership

    return np.asarray(membership(lists, indptr, items, n_items).sum(axis=1))


def shuffled_labels(
    lists: NDArray[np.int32], fold: Fold, metric: Metric, seed: int = 0
) -> Alarm | None:
    """Judge the same lists on the labels of other users: an evaluator that still gives credit, or
    gives more, does not measure what it says.

    A ranking that is the same for all may lose nothing; none may gain.
    """
    own = _values(lists, fold, metric)
    moved = np.random.default_rng(seed).permutation(len(lists))
    sizes = np.diff(fold.labels.indptr)
    starts = fold.labels.indptr[:-1]
    indptr = np.concatenate([[0], np.cumsum(sizes[moved])]).astype(np.int64)
    gather = np.arange(indptr[-1]) + np.repeat(starts[moved] - indptr[:-1], sizes[moved])
    items = fold.labels.items[gather]
    other = per_user(lists, indptr, items, fold.train.n_items, [metric])[metric.name]
    found = paired_bootstrap(other, own, resamples=2000, seed=seed)
    if found.p_value > 0.001:
        return None
    return Alarm(
        canary="metric that rises with shuffled labels",
        severity="alarm",
        detail=f"{metric.name} is {own.mean():.4f} on each user's own labels and "
        f"{other.mean():.4f} on somebody else's: queries and labels do not belong together",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What can be reached. ceiling: by whoever knows the labels, less those never seen in
    training. informed: by neighbours with like histories who know each other's held-out items, so
    by a plain model that has seen the future of everybody else."""

    metric: str
    ceiling: float
    informed: float


def bounds(fold: Fold, metric: Metric, sample: int = 4000, seed: int = 0) -> Bounds:
    """The bounds of a part for one metric; `informed` from at most `sample` of its users."""
    return Bounds(
        metric=metric.name,
        ceiling=_ceiling(fold, metric),
        informed=_informed(fold, metric, sample, seed),
    )


def suspicious(
    value: float, limits: Bounds, best_baseline: float, popularity: float
) -> Alarm | None:
    """An alarm where a result is above what can be, or far above what anybody should reach.

    The second is the higher of two lines: a quarter above the informed neighbours and the best
    tuned baseline; three times as far above that baseline as it is above popularity. Crossing it
    asks for a look and proves nothing.
    """
    name = "suspiciously good results"
    if value > limits.ceiling + 1e-9:
        return Alarm(
            canary=name,
            severity="alarm",
            detail=f"{limits.metric} {value:.4f} is above {limits.ceiling:.4f}, which is all that "
            "items known from training allow",
        )
    line = max(
        1.25 * max(limits.informed, best_baseline),
        best_baseline + 3 * (best_baseline - popularity),
    )
    if value > line:
        return Alarm(
            canary=name,
            severity="alarm",
            detail=f"{limits.metric} {value:.4f} is above {line:.4f}, although the best tuned "
            f"baseline reaches {best_baseline:.4f}, popularity {popularity:.4f} and neighbours who "
            f"know the others' future {limits.informed:.4f}; look for a leak before believing it",
        )
    return None


def _values(lists: NDArray[np.int32], fold: Fold, metric: Metric) -> NDArray[np.float64]:
    labels = fold.labels
    return per_user(lists, labels.indptr, labels.items, fold.train.n_items, [metric])[metric.name]


def _ceiling(fold: Fold, metric: Metric) -> float:
    """With item features anything may be found; without, only what training holds."""
    labels = fold.labels
    reachable = np.ones(len(labels.items), dtype=bool)
    if not fold.train.item_features:
        reachable = fold.train.popularity()[labels.items] > 0
    rows = np.repeat(np.arange(len(fold.queries)), np.diff(labels.indptr))[reachable]
    place = np.arange(len(rows)) - np.searchsorted(rows, rows)
    lists = np.full((len(fold.queries), metric.k), -1, dtype=np.int32)
    fits = place < metric.k
    lists[rows[fits], place[fits]] = labels.items[reachable][fits]
    return float(_values(lists, fold, metric).mean())


def _informed(fold: Fold, metric: Metric, sample: int, seed: int) -> float:
    from scipy.sparse import csr_matrix, diags

    queries, n_items = fold.queries, fold.train.n_items
    shape = (len(queries), n_items)
    labels = csr_matrix(
        (np.ones(len(fold.labels.items)), fold.labels.items, fold.labels.indptr), shape=shape
    )
    picks = np.random.default_rng(seed).permutation(len(queries))[:sample]
    rows = np.sort(picks)
    history = csr_matrix(queries.matrix()[rows], dtype=np.float64)
    # rare items say more about likeness; long histories are no better neighbours for it
    rarity = 1.0 / np.sqrt(fold.train.popularity() + 1.0)
    history = history @ diags(rarity)
    norms = np.sqrt(np.asarray(history.multiply(history).sum(axis=1)).ravel())
    history = csr_matrix(diags(1.0 / np.maximum(norms, 1e-12)) @ history)
    had = csr_matrix(queries.matrix()[rows], dtype=np.float64)
    known = labels[rows]
    told = csr_matrix(had + _WEIGHT_OF_FUTURE * known)
    lists = np.full((len(rows), metric.k), -1, dtype=np.int32)
    k = min(metric.k, n_items)
    for start in range(0, len(rows), _BLOCK):
        block = slice(start, min(start + _BLOCK, len(rows)))
        likeness = (history[block] @ history.T).toarray()
        likeness[np.arange(block.stop - start), np.arange(start, block.stop)] = 0.0  # not oneself
        scores = np.asarray(told.T.dot((likeness**2).T)).T
        if not fold.repeats:
            scores[had[block].nonzero()] = -np.inf
        top = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        order = np.argsort(-np.take_along_axis(scores, top, axis=1), axis=1, kind="stable")
        lists[block, :k] = np.take_along_axis(top, order, axis=1)
    found = per_user(lists, known.indptr.astype(np.int64), known.indices, n_items, [metric])
    return float(found[metric.name].mean())
