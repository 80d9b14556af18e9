"""The rows of a table that a candidate is asked to predict, sent to a worker a block at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evolver.data.ragged import picked
from evolver.execute.asked import BadOutput

Int64s = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """codes: (n, c) int32. numbers: (n, m) float32. lists: (indptr, codes) of each feature of
    several values. No label is in here."""

    codes: NDArray[np.int32]
    numbers: NDArray[np.float32]
    lists: tuple[tuple[Int64s, NDArray[np.int32]], ...]
    times: Int64s | None

    @property
    def reply(self) -> str:
        return "probabilities"

    @property
    def block_rows(self) -> int:
        return 16_384

    @property
    def n_items(self) -> int:
        return 0

    def __len__(self) -> int:
        return len(self.codes)

    def block(self, rows: Int64s) -> Rows:
        """The given rows."""
        return Rows(
            codes=self.codes[rows],
            numbers=self.numbers[rows],
            lists=tuple(_taken(indptr, codes, rows) for indptr, codes in self.lists),
            times=None if self.times is None else self.times[rows],
        )

    def request(self, k: int) -> tuple[dict[str, Any], bytes]:
        """Header and payload; the widest numbers come first."""
        parts: list[NDArray[np.generic]] = [] if self.times is None else [self.times]
        parts += [indptr for indptr, _ in self.lists]
        parts += [self.numbers, self.codes, *(codes for _, codes in self.lists)]
        header = {
            "type": "predict",
            "rows": len(self),
            "times": self.times is not None,
            "listed": [len(codes) for _, codes in self.lists],
        }
        return header, b"".join(np.ascontiguousarray(part).tobytes() for part in parts)

    def most_bytes(self, k: int) -> int:
        return len(self) * 8

    def blank(self, count: int, k: int) -> NDArray[np.float64]:
        return np.empty(count, dtype=np.float64)

    def checked(self, payload: bytes, k: int) -> NDArray[np.float64]:
        """(rows,) float64: finite, from 0 to 1. Raises BadOutput."""
        if len(payload) != len(self) * 8:
            raise BadOutput(f"{len(payload)} bytes where {len(self)} probabilities were asked for")
        found = np.frombuffer(payload, dtype="<f8").astype(np.float64)
        wrong = ~((found >= 0.0) & (found <= 1.0))  # a NaN is neither
        if wrong.any():
            row = int(np.argmax(wrong))
            raise BadOutput(
                f"{found[row]:.6g} for row {row} of a request; a probability is from 0 to 1"
            )
        return found


def _taken(
    indptr: Int64s, codes: NDArray[np.int32], rows: Int64s
) -> tuple[Int64s, NDArray[np.int32]]:
    taken, places = picked(indptr, rows)
    return taken, codes[places]
