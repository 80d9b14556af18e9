"""The lists that a candidate is asked to re-rank, sent to a worker a block at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from evolver.execute.asked import BadOutput

if TYPE_CHECKING:
    from evolver.execute.queries import Queries

NOBODY = -1
BLOCK_ROWS = 2048
"""In one request; a multiple of the block that the runner re-ranks at once."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Slates:
    """items: (n, m) int32 lists, -1 at their end. scores: (n, m) float32. users: of each list."""

    items: NDArray[np.int32]
    scores: NDArray[np.float32]
    users: Queries

    @property
    def reply(self) -> str:
        return "lists"

    @property
    def block_rows(self) -> int:
        return BLOCK_ROWS

    @property
    def n_items(self) -> int:
        return self.users.n_items

    def __len__(self) -> int:
        return len(self.items)

    def block(self, rows: NDArray[np.int64]) -> Slates:
        """The given rows."""
        return Slates(
            items=self.items[rows], scores=self.scores[rows], users=self.users.block(rows)
        )

    def request(self, k: int) -> tuple[dict[str, Any], bytes]:
        """Header and payload; the widest numbers come first."""
        users = self.users
        parts: list[NDArray[np.generic]] = [users.ids, users.indptr]
        if users.times is not None:
            parts.append(users.times)
        parts += [users.items, self.items, self.scores, users.known]
        header = {
            "type": "rerank",
            "k": k,
            "rows": len(self),
            "history": len(users.items),
            "times": users.times is not None,
        }
        return header, b"".join(np.ascontiguousarray(part).tobytes() for part in parts)

    def most_bytes(self, k: int) -> int:
        return len(self) * k * 4

    def blank(self, count: int, k: int) -> NDArray[np.int32]:
        return np.empty((count, k), dtype=np.int32)

    def checked(self, payload: bytes, k: int) -> NDArray[np.int32]:
        """(rows, k) int32: items of the list that was given, none twice, -1 only at the end. Raises
        BadOutput with what is wrong and where."""
        if len(payload) != len(self) * k * 4:
            raise BadOutput(f"{len(payload)} bytes of lists where {len(self)} x {k} int32 are due")
        lists = np.frombuffer(payload, dtype="<i4").astype(np.int32).reshape(len(self), k)
        for row in range(len(self)):
            listed = lists[row][lists[row] != NOBODY]
            where = f"for user {self.users.ids[row]}"
            if (lists[row][: len(listed)] == NOBODY).any():
                raise BadOutput(f"-1 before an item {where}; it may only fill the end of a list")
            if len(np.unique(listed)) != len(listed):
                raise BadOutput(f"an item twice {where}")
            if not np.isin(listed, self.items[row]).all():
                raise BadOutput(f"an item that was not on the list {where}")
        return lists
