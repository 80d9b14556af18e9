"""Which entries of many lists lie in many sets: one pass, no loop over users, nothing sorted.

Exported pipelines run this same file.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_TABLE_CELLS = 1 << 21  # bytes of look-up table; larger falls out of the processor's cache
_WIDEST = 1 << 12


def blocks(rows: int, n_items: int) -> Iterator[slice]:
    """Consecutive row ranges, each of a size that a `Lookup` handles in one go."""
    size = max(1, _TABLE_CELLS // _width(n_items))
    for start in range(0, rows, size):
        yield slice(start, min(start + size, rows))


def membership(
    lists: NDArray[np.int32], indptr: NDArray[np.int64], items: NDArray[np.int32], n_items: int
) -> NDArray[np.bool_]:
    """(q, k) bool: is lists[r, c] among items[indptr[r]:indptr[r + 1]]? Padding (-1) never is.

    The sets may be in any order and hold duplicates. Entries of both must be below `n_items`.
    """
    found = np.zeros(lists.shape, dtype=bool)
    lookup = Lookup(len(lists), n_items)
    for rows in blocks(len(lists), n_items):
        places = lookup.places(lists[rows], indptr[rows.start : rows.stop + 1], items)
        found[rows].reshape(-1)[places] = True
    return found


class Lookup:
    """Finds members block by block; its tables are made once and used for each.

    A table has a row of cells for each set, and an item falls on one of them. Where the catalogue
    is wider than a row several items share a cell: which of a set's items is meant is noted beside
    it, and those that found their cell taken are noted in another round. So no answer is wrong.
    """

    def __init__(self, rows: int, n_items: int) -> None:
        width = _width(n_items)
        sets = min(max(rows, 1), max(1, _TABLE_CELLS // width))
        self._mask = np.int32(width - 1)
        self._start = np.arange(sets, dtype=np.int32) * np.int32(width)
        self._taken = np.zeros(sets * width, dtype=bool)
        self._whose = np.zeros(0 if n_items < width else sets * width, dtype=np.int32)

    def places(
        self, lists: NDArray[np.int32], indptr: NDArray[np.int64], items: NDArray[np.int32]
    ) -> NDArray[np.intp]:
        """Which entries of the (q, k) lists, counted row by row, are members; ascending.

        The set of row r is items[indptr[r]:indptr[r + 1]]. At most one of `blocks` at a time.
        """
        held = items[indptr[0] : indptr[-1]].astype(np.int32, copy=False)
        own = np.repeat(self._start[: len(lists)], np.diff(indptr)) + (held & self._mask)
        cells = ((lists & self._mask) + self._start[: len(lists), None]).ravel()
        self._taken[own] = True
        found = np.flatnonzero(self._taken.take(cells))
        self._taken[own] = False
        if not len(self._whose):
            return found
        return found[self._meant(held, own, lists.reshape(-1)[found], cells[found])]

    def _meant(
        self,
        held: NDArray[np.int32],
        own: NDArray[np.int32],
        wanted: NDArray[np.int32],
        cells: NDArray[np.int32],
    ) -> NDArray[np.bool_]:
        """Of entries that fell on a taken cell, which are the item that took it."""
        meant = np.zeros(len(wanted), dtype=bool)
        rest = np.arange(len(held), dtype=np.int32)
        while len(rest):
            self._whose[own] = rest
            meant |= held[self._whose[cells]] == wanted
            lost = held[self._whose[own]] != held[rest]
            rest, own = rest[lost], own[lost]
        return meant


def _width(n_items: int) -> int:
    """A power of two above `n_items`, so that -1 falls on a cell that is never set, or the cap."""
    return min(_WIDEST, 1 << int(n_items).bit_length())
