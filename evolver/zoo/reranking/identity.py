"""Identity: the lists stay as ranking made them. What every re-ranker has to beat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evolver.contract import Budget, Params, Ranked

FAMILY = "identity"


class Model:
    """Learns nothing and changes nothing."""

    def __init__(self, params: Params) -> None:
        pass

    def fit(self, train: Ranked, budget: Budget) -> None:
        pass

    def rerank(self, lists: Ranked, k: int) -> NDArray[np.int32]:
        return lists.items[:, :k]

    def state(self) -> dict[str, Any]:
        return {}

    def load(self, state: Mapping[str, Any]) -> None:
        pass
