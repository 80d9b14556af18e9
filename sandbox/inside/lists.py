"""Retrieval: interactions in, a list of items for each user out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import ranking
import scipy.sparse

from evolver.contract import Interactions, Users

METHODS = ("score", "recommend")
REPLY = "lists"


def load(folder: Path, facts: dict[str, Any]) -> Interactions:
    """The training interactions, memory-mapped from the files of the view."""

    def read(name: str) -> Any:
        path = folder / f"{name}.npy"
        return np.load(path, mmap_mode="r", allow_pickle=False) if path.exists() else None

    def features(side: str, rows: int) -> dict[str, Any]:
        found = {}
        for number, feature in enumerate(facts[f"{side}_features"]):
            parts = [
                read(f"{side}_feature_{number}.{part}") for part in ("data", "indices", "indptr")
            ]
            found[feature["name"]] = scipy.sparse.csr_matrix(
                tuple(parts), shape=(rows, feature["width"])
            )
        return found

    return Interactions(
        users=read("users"),
        items=read("items"),
        times=read("times"),
        values=read("values"),
        n_users=facts["n_users"],
        n_items=facts["n_items"],
        user_features=features("user", facts["n_users"]),
        item_features=features("item", facts["n_items"]),
    )


def unpack(request: dict[str, Any], payload: bytes, facts: dict[str, Any]) -> Users:
    """Whom a request asks for."""
    rows, history = request["rows"], request["history"]
    place = 0

    def take(dtype: Any, count: int) -> Any:
        nonlocal place
        array = np.frombuffer(payload, dtype=dtype, count=count, offset=place)
        place += array.nbytes
        return array.copy()  # a candidate may write into what it is given

    return Users(
        ids=take(np.int64, rows),
        indptr=take(np.int64, rows + 1),
        times=take(np.int64, history) if request["times"] else None,
        items=take(np.int32, history),
        known=take(np.bool_, rows),
        n_items=facts["n_items"],
    )


def answer(
    model: Any, users: Users, request: dict[str, Any], facts: dict[str, Any], seed: int
) -> Any:
    """(rows, k) int32. Raises ValueError where the model returns no ranking."""
    return ranking.rank(model, users, request["k"], repeats=facts["repeats"], tie_seed=seed)
