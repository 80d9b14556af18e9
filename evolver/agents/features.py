"""What a ranking agent may know of a user and an item that was recalled for them.

Everything comes from the training rows and the histories of one fold: rows that ranking learns from
are made from the inner fold, rows that it is asked for from the outer one, by the same function. So
no feature has seen a label of what it describes, and none has seen the part that is judged.

Exported pipelines run this same file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags, hstack

from evolver.agents.merge import Merged
from evolver.contract import Interactions, Table, Users

RECENT_SHARE = 0.1
"""The last so many of the training rows say what is popular now, where there are times."""
LAST = 3
"""So many of the latest items of a history say what a user is at now."""
CELLS = 20_000_000
"""A table of groups by items has so many cells at most."""
PRIOR = 5.0
"""A group's taste for an item counts from about so many expected interactions on."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """Pairs of a query and an item recalled for it, query by query, in merged order.

    query, place: (n,) where the pair is in the merged lists. numbers: (n, m) float32, by `names`.
    found: (n,) int32, which agents list the item: the sum of 2 ** agent.
    """

    query: NDArray[np.int64]
    place: NDArray[np.int64]
    items: NDArray[np.int32]
    numbers: Floats
    names: tuple[str, ...]
    found: NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Known:
    """What the features take from the training rows, worked out once for all queries.

    share, lately: (n_items,) float64, log of how popular each item is, and was of late; lately is
    None without times. described: (n_items, w), features of items in rows of length 1; None where
    there are none. groups: (n_users, g) ones where a user is in a group, and lift: (g, n_items)
    float32, how much more often its users took an item than everybody; None without user features.
    """

    share: NDArray[np.float64]
    lately: NDArray[np.float64] | None
    described: csr_matrix | None
    groups: csr_matrix | None
    lift: Floats | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scale:
    """Mean and deviation of each column of the rows that ranking learned from. (m,) float64."""

    mean: NDArray[np.float64]
    spread: NDArray[np.float64]

    def of(self, numbers: Floats) -> Floats:
        """The same columns with mean 0 and deviation 1 over the rows of this scale."""
        return np.asarray(((numbers - self.mean) / self.spread), dtype=np.float32)


def known_of(train: Interactions) -> Known:
    """What the training rows say of items and groups."""
    popularity = train.popularity()
    lately = None
    if train.times is not None and len(train):
        recent = train.times >= np.quantile(train.times, 1.0 - RECENT_SHARE)
        counts = np.bincount(train.items[recent], minlength=train.n_items)
        lately = np.log((counts + 1.0) / (int(recent.sum()) + train.n_items))
    described = _stacked(train.item_features)
    groups, lift = _groups(train)
    return Known(
        share=np.log((popularity + 1.0) / (len(train) + train.n_items)),
        lately=lately,
        described=None if described is None else _unit(described),
        groups=groups,
        lift=lift,
    )


def make_rows(known: Known, queries: Users, merged: Merged, agents: Sequence[str]) -> Rows:
    """One row for each item on each merged list."""
    query, place = np.nonzero(merged.items >= 0)
    items = merged.items[query, place]
    columns: dict[str, Floats] = {"merged": _inverse(place)}
    columns |= _recalled(merged.places[:, query, place], agents)
    columns |= _of_items(known, items)
    columns |= _of_users(queries, query)
    columns |= _matches(known, queries, query, items)
    columns |= _lifts(known, queries, query, items)
    listed = merged.places[:, query, place] >= 0
    return Rows(
        query=query,
        place=place,
        items=items,
        numbers=np.column_stack(list(columns.values())).astype(np.float32),
        names=tuple(columns),
        found=(listed * (1 << np.arange(len(agents)))[:, None]).sum(axis=0).astype(np.int32),
    )


def scale_of(numbers: Floats) -> Scale:
    """The scale of these rows; a column that says nothing keeps its deviation."""
    spread = numbers.std(axis=0, dtype=np.float64)
    spread[spread < 1e-9] = 1.0
    return Scale(mean=numbers.mean(axis=0, dtype=np.float64), spread=spread)


def table_of(
    numbers: Floats,
    found: NDArray[np.int32],
    scale: Scale,
    agents: int,
    labels: NDArray[np.float32] | None = None,
) -> Table:
    """Rows as a ranking agent reads them."""
    return Table(
        codes=found[:, None], sizes=(1 << agents,), numbers=scale.of(numbers), labels=labels
    )


def _inverse(place: NDArray[np.integer]) -> Floats:
    return np.asarray(1.0 / (place + 1.0), dtype=np.float32)


def _recalled(places: NDArray[np.int32], agents: Sequence[str]) -> dict[str, Floats]:
    """For each agent whether it lists the item and how high; and how many agents do."""
    found: dict[str, Floats] = {"agents": (places >= 0).sum(axis=0).astype(np.float32)}
    for agent, place in zip(agents, places, strict=True):
        listed = place >= 0
        found[f"{agent} lists it"] = listed.astype(np.float32)
        found[f"{agent} place"] = np.where(listed, _inverse(place.clip(min=0)), 0.0)
        found[f"{agent} depth"] = np.where(listed, -np.log1p(place.clip(min=0)), -7.0)
    return {name: column.astype(np.float32) for name, column in found.items()}


def _of_items(known: Known, items: NDArray[np.int32]) -> dict[str, Floats]:
    """How popular an item is, was lately, and whether that is more than before."""
    found = {"popularity": known.share[items]}
    if known.lately is not None:
        found["popularity lately"] = known.lately[items]
        found["trend"] = (known.lately - known.share)[items]
    return {name: column.astype(np.float32) for name, column in found.items()}


def _of_users(queries: Users, query: NDArray[np.int64]) -> dict[str, Floats]:
    """How much is known of the user. Alike for all items of a query: only models that multiply
    features can use it."""
    sizes = np.log1p(np.diff(queries.indptr)).astype(np.float32)
    return {"history": sizes[query], "known": queries.known[query].astype(np.float32)}


def _matches(
    known: Known, queries: Users, query: NDArray[np.int64], items: NDArray[np.int32]
) -> dict[str, Floats]:
    """Cosine of the item's features with those of the user's history, and of its latest items."""
    if known.described is None:
        return {}
    found = {}
    for name, length in (("history match", None), ("latest match", LAST)):
        histories = _unit(_histories(queries, length) @ known.described)
        product = histories[query].multiply(known.described[items])
        found[name] = np.asarray(product.sum(axis=1), dtype=np.float32).ravel()
    return found


def _groups(train: Interactions) -> tuple[csr_matrix | None, Floats | None]:
    """Who is in which group, and how much more often its users took an item than everybody."""
    described = _stacked(train.user_features)
    if described is None:
        return None, None
    groups = _largest(csr_matrix((described > 0).astype(np.float64)), train.n_items)
    took = (groups.T @ train.matrix().astype(np.float64)).toarray()
    share = took.sum(axis=0) / max(took.sum(), 1.0)
    expected = took.sum(axis=1, keepdims=True) * share
    return groups, np.log((took + PRIOR) / (expected + PRIOR)).astype(np.float32)


def _lifts(
    known: Known, queries: Users, query: NDArray[np.int64], items: NDArray[np.int32]
) -> dict[str, Floats]:
    """How much more often users of the same groups took the item than everybody: mean log lift
    over the groups, such as age and occupation, that the user is in."""
    if known.groups is None or known.lift is None:
        return {}
    mine = known.groups[queries.ids]
    counts = np.maximum(np.diff(mine.indptr), 1).astype(np.float64)
    mine = csr_matrix(diags(1.0 / counts) @ mine)
    value = np.empty(len(query), dtype=np.float32)
    starts = np.searchsorted(query, np.arange(len(queries) + 1))
    for row in range(len(queries)):
        pairs = slice(starts[row], starts[row + 1])
        if pairs.stop > pairs.start:
            at = slice(mine.indptr[row], mine.indptr[row + 1])
            value[pairs] = mine.data[at] @ known.lift[mine.indices[at]][:, items[pairs]]
    return {"group lift": value}


def _largest(groups: csr_matrix, n_items: int) -> csr_matrix:
    """The groups with the most users, as many as a table of groups by items has room for."""
    room = max(1, CELLS // max(n_items, 1))
    if groups.shape[1] <= room:
        return groups
    sizes = np.asarray(groups.sum(axis=0)).ravel()
    return groups[:, np.sort(np.argsort(-sizes, kind="stable")[:room])]


def _stacked(features: Mapping[str, csr_matrix]) -> csr_matrix | None:
    return hstack(list(features.values()), format="csr") if features else None


def _unit(matrix: csr_matrix) -> csr_matrix:
    """Rows of length 1; an empty row stays empty."""
    norms = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1), dtype=np.float64)).ravel()
    return csr_matrix(diags(1.0 / np.where(norms > 0, norms, 1.0)) @ matrix)


def _histories(queries: Users, length: int | None) -> csr_matrix:
    """(q, n_items) ones where the history, or its last `length` items, hold the item."""
    if length is None:
        return queries.matrix()
    ends = queries.indptr[1:]
    sizes = np.minimum(np.diff(queries.indptr), length)
    indptr = np.concatenate([[0], np.cumsum(sizes)])
    at = np.repeat(ends - sizes - indptr[:-1], sizes) + np.arange(indptr[-1])
    ones = np.ones(len(at), dtype=np.float32)
    return csr_matrix((ones, queries.items[at], indptr), shape=(len(queries), queries.n_items))
