"""Re-ranking: lists with labels in, the same items in another order out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import reordering
import scipy.sparse

from evolver.contract import Ranked, Users

METHODS = ("rerank",)
REPLY = "lists"


def load(folder: Path, facts: dict[str, Any]) -> Ranked:
    """The lists to learn from, with their labels, memory-mapped from the files of the view."""

    def read(name: str) -> Any:
        path = folder / f"{name}.npy"
        return np.load(path, mmap_mode="r", allow_pickle=False) if path.exists() else None

    features = {}
    for number, feature in enumerate(facts["item_features"]):
        parts = [read(f"item_feature_{number}.{part}") for part in ("data", "indices", "indptr")]
        shape = (facts["n_items"], feature["width"])
        features[feature["name"]] = scipy.sparse.csr_matrix(tuple(parts), shape=shape)
    facts["_items"] = (read("ranked_popularity"), features)
    return Ranked(
        items=read("ranked_items"),
        scores=read("ranked_scores"),
        users=Users(
            ids=read("ranked_ids"),
            known=read("ranked_known"),
            indptr=read("ranked_indptr"),
            items=read("ranked_histories"),
            times=read("ranked_times"),
            n_items=facts["n_items"],
        ),
        popularity=facts["_items"][0],
        item_features=features,
        labels=read("ranked_labels"),
    )


def unpack(request: dict[str, Any], payload: bytes, facts: dict[str, Any]) -> Ranked:
    """The lists that a request asks for."""
    rows, history, width, place = request["rows"], request["history"], facts["width"], 0

    def take(dtype: Any, *shape: int) -> Any:
        nonlocal place
        size = int(np.prod(shape))
        array = np.frombuffer(payload, dtype=dtype, count=size, offset=place)
        place += array.nbytes
        return array.reshape(shape).copy()  # a candidate may write into what it is given

    ids, indptr = take(np.int64, rows), take(np.int64, rows + 1)
    times = take(np.int64, history) if request["times"] else None
    histories, items = take(np.int32, history), take(np.int32, rows, width)
    scores, known = take(np.float32, rows, width), take(np.bool_, rows)
    popularity, features = facts["_items"]
    return Ranked(
        items=items,
        scores=scores,
        users=Users(
            ids=ids,
            known=known,
            indptr=indptr,
            items=histories,
            times=times,
            n_items=facts["n_items"],
        ),
        popularity=popularity,
        item_features=features,
    )


def answer(
    model: Any, lists: Ranked, request: dict[str, Any], facts: dict[str, Any], seed: int
) -> Any:
    """(rows, k) int32. Raises ValueError where the model returns other items than it was given."""
    return reordering.rerank(model, lists, request["k"])
