"""Does this installation still predict what was measured when the package was exported?"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np

from ._ranker import Ranker, load

CLOSE = 1e-5
"""Probabilities closer than this count as equal: processors and thread counts round differently."""


@dataclass(frozen=True, slots=True)
class Parity:
    """What the check found, in rows; largest: the largest difference."""

    rows: int
    different: int
    largest: float

    @property
    def passed(self) -> bool:
        return self.rows > 0 and self.different == 0

    def __str__(self) -> str:
        return (
            f"parity: {self.rows - self.different} of {self.rows} probabilities as measured, "
            f"largest difference {self.largest:.2g}"
        )


def check(ranker: Ranker | None = None) -> Parity:
    """Predict the rows again whose probabilities were stored at export, and compare."""
    with as_file(files(__package__)) as folder:
        data = Path(folder) / "data"
        rows = json.loads((data / "parity_rows.json").read_text("utf-8"))
        expected = np.load(data / "parity.npy", allow_pickle=False)
    got = (ranker or load()).predict(rows["rows"], times=rows["times"])
    off = np.abs(got - expected)
    return Parity(
        rows=len(expected),
        different=int((off > CLOSE).sum()),
        largest=float(off.max(initial=0.0)),
    )
