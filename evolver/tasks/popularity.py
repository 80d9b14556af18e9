"""The list for whoever a candidate cannot serve: what is popular in training, bar their history.

Exported pipelines run this same file.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evolver.contract import Interactions, Users
from evolver.metrics.membership import membership

_CELLS = 1 << 22


def popularity_lists(
    train: Interactions, users: Users, k: int, *, repeats: bool
) -> NDArray[np.int32]:
    """(len(users), k) int32: the most popular training items, equally popular ones by number.

    What is in a user's history is left out unless `repeats`; -1 fills a list that the catalogue
    cannot.
    """
    order = np.argsort(-train.popularity(), kind="stable").astype(np.int32)
    lists = np.full((len(users), k), -1, dtype=np.int32)
    if repeats:
        lists[:, : min(k, len(order))] = order[:k]
        return lists
    sizes = np.diff(users.indptr)
    start = 0
    while start < len(users):
        # as many users as fit the memory, each with enough items to spare for the longest history
        stop = min(len(users), start + 1024)
        depth = min(len(order), k + int(sizes[start:stop].max()))
        stop = min(stop, start + max(1, _CELLS // depth))
        block = users[start:stop]
        top = np.broadcast_to(order[:depth], (len(block), depth))
        had = membership(top, block.indptr, block.items, users.n_items)
        places = np.argsort(had, axis=1, kind="stable")[:, :k]
        picked = np.where(np.take_along_axis(had, places, axis=1), -1, order[places])
        lists[start:stop, : picked.shape[1]] = picked
        start = stop
    return lists


def filled(
    lists: NDArray[np.int32], train: Interactions, users: Users, *, repeats: bool
) -> tuple[NDArray[np.int32], int]:
    """The lists with popularity for whoever got nothing at all, and how many these are."""
    nobody = np.flatnonzero((lists < 0).all(axis=1)) if lists.size else np.zeros(0, np.int64)
    if not len(nobody):
        return lists, 0
    out = lists.copy()
    out[nobody] = popularity_lists(train, users, lists.shape[1], repeats=repeats)[nobody]
    return out, len(nobody)
