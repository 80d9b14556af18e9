# What ranks: one of the files in evolver/export/engines.
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evolver.contract import Users

TOLERATED: float

class Engine:
    serves_unseen: bool
    def __init__(self, folder: Path, facts: Mapping[str, Any]) -> None: ...
    def rank(
        self, block: Users, k: int, repeats: bool, *, stranger: bool = ...
    ) -> NDArray[np.int32]: ...
    def alike(self, user: Users, old: NDArray[np.int32], new: NDArray[np.int32]) -> bool: ...
