"""Ranking metrics of each user, from full-catalogue lists and held-out items.

Binary relevance. With `hits` the number of held-out items among the first k places:

- recall@k: hits / held-out items (so it cannot reach 1 where a user has more than k of them)
- precision@k: hits / k, also for a list shorter than k
- ndcg@k: sum of 1 / log2(place + 1) over hits, divided by the most that k places allow, which is
  the same sum over the first min(held-out items, k) places (Järvelin and Kekäläinen, 2002)
- hit@k: 1 where hits > 0
- mrr@k: 1 / place of the first hit; 0 without one
- map@k: mean over the first min(held-out items, k) hits of the precision at their place, where a
  hit that is missing counts 0

Lists have an order and no scores, so ties do not exist here: whoever made the list broke them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from evolver.errors import UsageError
from evolver.metrics.membership import Lookup, blocks

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Metric:
    """One per-user metric at one cut. `name` is how it is written: "ndcg@10"."""

    kind: str
    k: int

    @property
    def name(self) -> str:
        return f"{self.kind}@{self.k}"


def parse_metric(text: str) -> Metric:
    """ "ndcg@10" as a `Metric`. Raises UsageError that lists the known ones."""
    match = re.fullmatch(r"\s*([A-Za-z_]+)@([0-9]{1,6})\s*", text)
    kind = match[1].lower() if match else ""
    if match is None or kind not in KINDS or int(match[2]) < 1:
        known = ", ".join(f"{kind}@k" for kind in KINDS)
        raise UsageError(f"unknown metric {text!r}; known: {known}, for example ndcg@10")
    return Metric(kind, int(match[2]))


def per_user(
    lists: NDArray[np.int32],
    indptr: NDArray[np.int64],
    items: NDArray[np.int32],
    n_items: int,
    metrics: Sequence[Metric],
) -> dict[str, Floats]:
    """(q,) float64 in [0, 1] for each metric, by name.

    lists: (q, k) int32, best first, no duplicates, -1 only as padding at the end. indptr, items:
    the held-out items of each user, ascending and unique, at least one each. Raises ValueError
    where a metric needs longer lists, or a user has nothing held out.
    """
    deepest = max((metric.k for metric in metrics), default=0)
    if lists.ndim != 2 or lists.shape[1] < deepest:
        raise ValueError(f"lists of shape {lists.shape} are too short for a metric at {deepest}")
    if len(indptr) != len(lists) + 1:
        raise ValueError(f"{len(lists)} lists for {len(indptr) - 1} users with held-out items")
    sizes = np.diff(indptr)
    if len(sizes) and sizes.min() < 1:
        row = int(sizes.argmin())
        raise ValueError(f"query {row} has no held-out item, so no metric is defined for it")
    out = {metric.name: np.empty(len(lists)) for metric in metrics}
    lookup = Lookup(len(lists), n_items)
    for rows in blocks(len(lists), n_items):
        shown = np.ascontiguousarray(lists[rows, :deepest])
        places = lookup.places(shown, indptr[rows.start : rows.stop + 1], items)
        hits = Hits(*np.divmod(places, max(deepest, 1)), len(shown))
        for metric in metrics:
            values = KINDS[metric.kind](hits.within(metric.k), sizes[rows], metric.k)
            out[metric.name][rows] = values
    return out


@dataclass(frozen=True)
class Hits:
    """Held-out items on lists: the row and the place, from 0, of each; by row, best first. Few
    places of a list are hits, so this is much less than all lists."""

    rows: NDArray[np.intp]
    places: NDArray[np.intp]
    users: int

    def within(self, k: int) -> Hits:
        """Those among the first k places."""
        kept = self.places < k
        return self if kept.all() else Hits(self.rows[kept], self.places[kept], self.users)

    @cached_property
    def counts(self) -> NDArray[np.intp]:
        """(users,): how many each has."""
        return np.bincount(self.rows, minlength=self.users)

    def sums(self, values: Floats) -> Floats:
        """(users,): the sum over each user's hits of these (hits,) values."""
        return np.asarray(np.bincount(self.rows, values, minlength=self.users), dtype=np.float64)

    def order(self) -> NDArray[np.intp]:
        """(hits,): is it the user's first hit, 0, or which?"""
        return np.arange(len(self.rows)) - (np.cumsum(self.counts) - self.counts)[self.rows]


def _recall(hits: Hits, sizes: NDArray[np.int64], k: int) -> Floats:
    return np.asarray(hits.counts / sizes)


def _precision(hits: Hits, sizes: NDArray[np.int64], k: int) -> Floats:
    return np.asarray(hits.counts / k)


def _ndcg(hits: Hits, sizes: NDArray[np.int64], k: int) -> Floats:
    discounts = 1.0 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(discounts)[np.minimum(sizes, k) - 1]
    return np.asarray(hits.sums(discounts[hits.places]) / ideal)


def _hit(hits: Hits, sizes: NDArray[np.int64], k: int) -> Floats:
    return np.asarray(hits.counts > 0, dtype=np.float64)


def _mrr(hits: Hits, sizes: NDArray[np.int64], k: int) -> Floats:
    return hits.sums((hits.order() == 0) / (hits.places + 1.0))


def _map(hits: Hits, sizes: NDArray[np.int64], k: int) -> Floats:
    precision = (hits.order() + 1.0) / (hits.places + 1.0)
    return np.asarray(hits.sums(precision) / np.minimum(sizes, k))


KINDS: Mapping[str, Callable[[Hits, NDArray[np.int64], int], Floats]] = {
    "recall": _recall,
    "precision": _precision,
    "ndcg": _ndcg,
    "hit": _hit,
    "mrr": _mrr,
    "map": _map,
}
