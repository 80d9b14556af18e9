"""What a worker sends back is a claim; here it becomes lists that may be measured, or a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from evolver.execute.asked import BadOutput

if TYPE_CHECKING:
    from evolver.execute.queries import Queries

__all__ = ["BadOutput", "checked_lists"]


def checked_lists(payload: bytes, queries: Queries, k: int) -> NDArray[np.int32]:
    """(rows, k) int32 from raw bytes: items in range, none twice, none of the history unless
    repeats are wanted, -1 only at the end. Raises BadOutput with what is wrong and where."""
    rows = len(queries)
    if len(payload) != rows * k * 4:
        raise BadOutput(f"{len(payload)} bytes of lists where {rows} x {k} int32 were asked for")
    lists = np.frombuffer(payload, dtype="<i4").astype(np.int32).reshape(rows, k)
    absent = lists == -1
    outside = (lists < -1) | (lists >= queries.n_items)
    if outside.any():
        row, place = _first(outside)
        raise BadOutput(
            f"item {lists[row, place]} at place {place} for user {queries.ids[row]}; "
            f"items go from 0 to {queries.n_items - 1}"
        )
    gaps = absent[:, :-1] & ~absent[:, 1:]
    if gaps.any():
        row, place = _first(gaps)
        raise BadOutput(
            f"-1 at place {place} for user {queries.ids[row]} with items after it; "
            "-1 may only fill the end of a list"
        )
    ordered = np.sort(lists, axis=1)
    twice = (ordered[:, :-1] == ordered[:, 1:]) & (ordered[:, 1:] >= 0)
    if twice.any():
        row, place = _first(twice)
        raise BadOutput(f"item {ordered[row, place]} twice for user {queries.ids[row]}")
    if not queries.repeats:
        _refuse_history(lists, queries)
    return lists


def _refuse_history(lists: NDArray[np.int32], queries: Queries) -> None:
    """Compare (row, item) pairs of lists and histories as single numbers."""
    rows = np.arange(len(queries), dtype=np.int64)[:, None]
    wanted = np.where(lists < 0, -1, rows * queries.n_items + lists)
    sizes = np.diff(queries.indptr)
    had = np.repeat(rows[:, 0] * queries.n_items, sizes) + queries.items
    again = np.isin(wanted, had)
    if again.any():
        row, place = _first(again)
        raise BadOutput(
            f"item {lists[row, place]} is in the history of user {queries.ids[row]}; "
            "recommend must leave out what the user already has"
        )


def _first(mask: NDArray[np.bool_]) -> tuple[int, int]:
    row, place = np.argwhere(mask)[0]
    return int(row), int(place)
