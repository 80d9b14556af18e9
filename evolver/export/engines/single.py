"""One model ranks the whole catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from . import _candidate, _ranking
from ._contract import Params, Users

CLOSE = 1e-5
"""Scores closer than this, relative to the largest one listed, count as equal after rounding."""
TOLERATED = 0.0
"""Of the lists that are checked such a share may differ by more than rounding."""


class Engine:
    """The trained model, by numbers of users and items."""

    def __init__(self, folder: Path, facts: Mapping[str, Any]) -> None:
        self._seed = int(facts["tie_seed"])
        self.serves_unseen = bool(getattr(_candidate, "SERVES_UNSEEN", False))
        self._model = _candidate.Model(Params(facts["values"]))
        self._model.load(load_file(folder / "weights.safetensors"))

    def rank(
        self, block: Users, k: int, repeats: bool, *, stranger: bool = False
    ) -> NDArray[np.int32]:
        """(len(block), k at most) item numbers, best first, -1 at the end. stranger: the ids of the
        block say nothing, for these people were not in the data."""
        width = min(k, block.n_items)
        return _ranking.rank(self._model, block, width, repeats=repeats, tie_seed=self._seed)

    def alike(self, user: Users, old: NDArray[np.int32], new: NDArray[np.int32]) -> bool:
        """Whether two lists of one user differ only between items of equal score, to within
        rounding."""
        if not hasattr(self._model, "score") or ((old < 0) != (new < 0)).any():
            return False
        flat = _ranking.as_scores(self._model.score(user), 1, user.n_items)[0]
        a, b = flat[old[old >= 0]], flat[new[new >= 0]]
        return bool((np.abs(a - b) <= CLOSE * np.abs(np.concatenate([a, b])).max()).all())
