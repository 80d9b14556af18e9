"""Several lists of items for each user become one: by turns, by fused places, or by learned odds.

Lists are (q, w) int32, best first, -1 as padding at the end, one array for each agent in the order
of the graph. No score is compared between agents: their scales have nothing to do with each other.

Exported pipelines run this same file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from evolver.metrics.membership import membership

NOBODY = -1
BUCKETS = 24
"""Places are learned about in so many groups, each about a third wider than the one before."""

Lists = NDArray[np.int32]
Scores = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Merged:
    """items: (q, depth) int32, best first, no duplicates, -1 as padding at the end. scores:
    (q, depth) float32, falling along each row, 0 where there is no item. places: (agents, q, depth)
    int32, the place of the item on each agent's list from 0, -1 where it is not on it."""

    items: Lists
    scores: Scores
    places: NDArray[np.int32]


class Way(Protocol):
    """How lists are merged, as `evolver.agents.document.MergeSpec` says it."""

    @property
    def how(self) -> str: ...

    @property
    def constant(self) -> float: ...


def merge(
    lists: Sequence[Lists], spec: Way, depth: int, odds: NDArray[np.float64] | None = None
) -> Merged:
    """The first `depth` items of all lists together. `odds`: from `learn`, where that is how.

    Items of equal score keep the order in which agents list them, the first agent's first.
    """
    if spec.how == "learned" and odds is None:
        raise ValueError("a learned merge needs the odds that were learned")
    stacked = [np.asarray(each, dtype=np.int32) for each in lists]
    weights = [
        _weights(spec, agent, len(stacked), each.shape[1], odds)
        for agent, each in enumerate(stacked)
    ]
    combine = np.maximum if spec.how == "round_robin" else np.add
    width = min(depth, sum(each.shape[1] for each in stacked))
    queries = len(stacked[0])
    items = np.full((queries, width), NOBODY, dtype=np.int32)
    scores = np.zeros((queries, width), dtype=np.float32)
    places = np.full((len(stacked), queries, width), -1, dtype=np.int32)
    for row in range(queries):
        found, value, where = _row([each[row] for each in stacked], weights, width, combine)
        items[row, : len(found)] = found
        scores[row, : len(found)] = value
        places[:, row, : len(found)] = where
    return Merged(items=items, scores=scores, places=places)


def _weights(
    spec: Way, agent: int, agents: int, width: int, odds: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """What an item gets for each place of an agent's list."""
    place = np.arange(width, dtype=np.float64)
    if spec.how == "fusion":
        return np.asarray(1.0 / (spec.constant + place + 1.0))
    if spec.how == "learned" and odds is not None:
        # the chance that not all are wrong is 1 - prod(1 - p): sums of -log(1 - p) order alike
        return np.asarray(-np.log1p(-odds[agent][bucket(width)]))
    return np.asarray(1.0 / (place * agents + agent + 1.0))


def _row(
    lists: Sequence[NDArray[np.int32]],
    weights: Sequence[NDArray[np.float64]],
    width: int,
    combine: np.ufunc,
) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.int32]]:
    sizes = [int((each != NOBODY).sum()) for each in lists]
    joined = np.concatenate([each[:n] for each, n in zip(lists, sizes, strict=True)])
    if not len(joined):
        return joined, np.zeros(0, np.float32), np.zeros((len(lists), 0), np.int32)
    items, first, index = np.unique(joined, return_index=True, return_inverse=True)
    gains = np.concatenate([w[:n] for w, n in zip(weights, sizes, strict=True)])
    score = np.zeros(len(items))
    combine.at(score, index, gains)
    places = np.full((len(lists), len(items)), -1, dtype=np.int32)
    at = 0
    for agent, size in enumerate(sizes):
        places[agent, index[at : at + size]] = np.arange(size)
        at += size
    order = np.lexsort((first, -score))[:width]
    return items[order], score[order].astype(np.float32), places[:, order]


def bucket(width: int) -> NDArray[np.int64]:
    """(width,) which group of places each place is in."""
    edges = np.unique(np.floor(1.35 ** np.arange(BUCKETS))).astype(np.int64)
    return np.minimum(np.searchsorted(edges, np.arange(width) + 1, side="right") - 1, BUCKETS - 1)


def learn(
    lists: Sequence[Lists], indptr: NDArray[np.int64], items: NDArray[np.int32], n_items: int
) -> NDArray[np.float64]:
    """(agents, BUCKETS) the chance that an agent is right at a place, from inner labels.

    Counted with half a hit in a hundred lists more, so that nothing is certain or impossible.
    indptr, items: the inner labels of each query.
    """
    odds = np.zeros((len(lists), BUCKETS))
    for agent, each in enumerate(lists):
        groups = np.broadcast_to(bucket(each.shape[1]), each.shape)
        hits = membership(each, indptr, items, n_items)
        listed = each != NOBODY
        right = np.bincount(groups[hits], minlength=BUCKETS)
        shown = np.bincount(groups[listed], minlength=BUCKETS)
        odds[agent] = (right + 0.5) / (shown + 100.0)
    return np.minimum(odds, 0.99)
