"""From a fitted model to re-ranked lists: blocks and checks.

The sandbox runner and every exported package run this same file, so that what a user gets is what
was measured. It needs numpy only and imports nothing of evolver: `lists` is a contract `Ranked`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 256
"""Lists re-ranked at once. Fixed, since matrix products may round differently in other shapes."""
NOBODY = -1


def rerank(model: Any, lists: Any, k: int) -> NDArray[np.int32]:
    """(len(lists), k) int32: items of each list, best first, -1 at the end. Raises ValueError with
    a reason when what comes back holds anything else."""
    out = np.full((len(lists), k), NOBODY, dtype=np.int32)
    for start in range(0, len(lists), BLOCK):
        block = lists[start : start + BLOCK]
        given = block.items.copy()
        found = _as_lists(model.rerank(block, k), len(block))
        out[start : start + BLOCK, : min(k, found.shape[1])] = found[:, :k]
        check(out[start : start + BLOCK], given)
    return out


def check(found: NDArray[np.int32], given: NDArray[np.int32]) -> None:
    """Raises ValueError where a list holds an item that was not given, or one twice, or a hole."""
    for row in range(len(found)):
        listed = found[row][found[row] != NOBODY]
        if (found[row][: len(listed)] == NOBODY).any():
            raise ValueError("rerank returned -1 before an item; it may only fill the end")
        if len(np.unique(listed)) != len(listed):
            raise ValueError("rerank returned an item twice on one list")
        if not np.isin(listed, given[row]).all():
            raise ValueError("rerank returned an item that was not on the list")


def _as_lists(raw: Any, rows: int) -> NDArray[np.int32]:
    if hasattr(raw, "detach"):  # torch
        raw = raw.detach().cpu().numpy()
    found = np.asarray(raw)
    if found.ndim != 2 or len(found) != rows:
        raise ValueError(f"rerank returned shape {found.shape}; expected ({rows}, k)")
    if found.dtype.kind not in "iu":
        raise ValueError(f"rerank returned dtype {found.dtype}; expected whole numbers")
    return found.astype(np.int32)
