"""From a fitted model to probabilities: blocks and checks.

The sandbox runner and every exported package run this same file, so that what a user gets is what
was measured. It needs numpy only and imports nothing of evolver: `table` is a contract `Table`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 4096
"""Rows predicted at once. Fixed, since matrix products may round differently in other shapes."""
_ROUNDING = 1e-6


def predict(model: Any, table: Any) -> NDArray[np.float64]:
    """(len(table),) what a fitted model predicts, block by block. Raises ValueError with a reason
    when what comes back is no probability for each row."""
    out = np.empty(len(table), dtype=np.float64)
    for start in range(0, len(table), BLOCK):
        block = table[start : start + BLOCK]
        out[start : start + BLOCK] = as_probabilities(model.predict(block), len(block))
    return out


def as_probabilities(raw: Any, rows: int) -> NDArray[np.float64]:
    """(rows,) float64 of what `predict` returned: numpy or torch. A hair outside 0 to 1 is rounding
    and is moved to the edge."""
    if hasattr(raw, "detach"):  # torch
        raw = raw.detach().cpu().double().numpy()
    found = np.asarray(raw)
    if found.shape != (rows,):
        raise ValueError(f"predict returned shape {found.shape}; expected ({rows},)")
    if found.dtype.kind not in "fiub":
        raise ValueError(f"predict returned dtype {found.dtype}; expected real numbers")
    found = found.astype(np.float64)
    wrong = ~((found >= -_ROUNDING) & (found <= 1 + _ROUNDING))  # a NaN is neither
    if wrong.any():
        raise ValueError(
            f"predict returned {found[wrong][0]:.6g} for row {int(np.argmax(wrong))} of a block; a "
            "probability is from 0 to 1"
        )
    return np.asarray(found.clip(0.0, 1.0))
