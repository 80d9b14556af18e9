"""What a stage brought back, kept: the same program on the same data is not trained again.

A key names all that could change the answer: the data as it was handed over, the program and its
values, the seed, and what was asked. Only what went well is kept.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

VERSION = 1
"""Changes whenever the same key would mean another answer."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ran:
    """One program that was trained and asked. `seconds` were measured when it ran; `cached`: that
    was before, and cost nothing now. `odd`: (asked,) bool, which answers changed when they were
    asked for once more, in another order; None where nobody asked again."""

    answers: NDArray[Any]
    fit_seconds: float
    score_seconds: float
    latency_ms: NDArray[np.float64]
    parameters: int
    peak_bytes: int
    cached: bool = False
    odd: NDArray[np.bool_] | None = None
    weights: bytes | None = None


class StageCache:
    """A folder of results. Safe to use from threads and processes: files appear whole."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, key: str) -> Ran | None:
        """What is kept under this key."""
        place = self._folder / f"{key}.npz"
        if not place.exists():
            return None
        with np.load(place, allow_pickle=False) as kept:
            costs = json.loads(str(kept["costs"]))
            return Ran(answers=kept["answers"], latency_ms=kept["latency"], cached=True, **costs)

    def put(self, key: str, ran: Ran) -> None:
        """Keep a result; weights and what was asked twice are not kept."""
        self._folder.mkdir(parents=True, exist_ok=True)
        names = ("fit_seconds", "score_seconds", "parameters", "peak_bytes")
        costs = json.dumps({name: getattr(ran, name) for name in names})
        with tempfile.NamedTemporaryFile(dir=self._folder, delete=False) as draft:
            np.savez(draft, answers=ran.answers, latency=ran.latency_ms, costs=np.array(costs))
        Path(draft.name).replace(self._folder / f"{key}.npz")


def key_of(*parts: object, arrays: Mapping[str, NDArray[Any]] | None = None) -> str:
    """32 hexadecimal digits over JSON-able parts and arrays."""
    digest = hashlib.sha256(json.dumps([VERSION, *parts], sort_keys=True).encode())
    for name, array in sorted((arrays or {}).items()):
        digest.update(f"{name}{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:32]
