"""Lists of unequal length, one after the other: row r is data[indptr[r]:indptr[r + 1]]."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Int64s = NDArray[np.int64]


def picked(indptr: Int64s, rows: Int64s) -> tuple[Int64s, Int64s]:
    """Some of the rows, in the order given: their own indptr, and the places of what they hold."""
    sizes = indptr[rows + 1] - indptr[rows]
    own = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    places = np.repeat(indptr[rows] - own[:-1], sizes) + np.arange(own[-1])
    return own, places.astype(np.int64, copy=False)
