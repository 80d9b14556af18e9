"""Which entries of many lists lie in many sets: one pass, no loop over users."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_TABLE_CELLS = 1 << 21  # bytes of look-up table; larger falls out of the processor's cache
_WIDEST = 1 << 12


def blocks(rows: int, n_items: int) -> Iterator[slice]:
    """Consecutive row ranges, each of a size that `membership` handles in one go."""
    size = max(1, _TABLE_CELLS // _width(n_items))
    for start in range(0, rows, size):
        yield slice(start, min(start + size, rows))


def membership(
    lists: NDArray[np.int32], indptr: NDArray[np.int64], items: NDArray[np.int32], n_items: int
) -> NDArray[np.bool_]:
    """(q, k) bool: is lists[r, c] among items[indptr[r]:indptr[r + 1]]? Padding (-1) never is.

    The sets may be in any order and hold duplicates. Entries of both must be below `n_items`.
    A wrong answer is impossible: where the catalogue is wider than the look-up table the table
    only rules entries out, and what is left is looked for by binary search.
    """
    found = np.empty(lists.shape, dtype=bool)
    for rows in blocks(len(lists), n_items):
        found[rows] = _block(lists[rows], indptr[rows.start : rows.stop + 1], items, n_items)
    return found


def _width(n_items: int) -> int:
    """A power of two above `n_items`, so that -1 falls on a cell that is never set, or the cap."""
    return min(_WIDEST, 1 << int(n_items).bit_length())


def _block(
    lists: NDArray[np.int32], indptr: NDArray[np.int64], items: NDArray[np.int32], n_items: int
) -> NDArray[np.bool_]:
    width = _width(n_items)
    mask = width - 1
    held = items[indptr[0] : indptr[-1]].astype(np.intp)
    row_of = np.repeat(np.arange(len(lists)), np.diff(indptr))
    table = np.zeros(len(lists) * width, dtype=bool)
    table[row_of * width + (held & mask)] = True

    cells = lists.astype(np.intp)
    cells &= mask
    cells += (np.arange(len(lists)) * width)[:, None]
    found = table.take(cells)
    if n_items < width:
        return found

    row, column = np.nonzero(found)
    candidates = lists[row, column]
    keys = row_of * n_items + held
    keys.sort()
    wanted = row * n_items + candidates
    place = np.searchsorted(keys, wanted)
    place[place == len(keys)] = 0
    found[row, column] = (candidates >= 0) & (keys[place] == wanted) if len(keys) else False
    return found
