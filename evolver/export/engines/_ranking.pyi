from typing import Any

import numpy as np
from numpy.typing import NDArray

def rank(
    model: Any, users: Any, k: int, *, repeats: bool = ..., tie_seed: int = ...
) -> NDArray[np.int32]: ...
def top_k(
    scores: Any,
    indptr: NDArray[np.int64],
    items: NDArray[np.int32],
    k: int,
    *,
    repeats: bool = ...,
    tie_seed: int = ...,
) -> NDArray[np.int32]: ...
def as_scores(raw: Any, rows: int, n_items: int) -> NDArray[np.float32]: ...
