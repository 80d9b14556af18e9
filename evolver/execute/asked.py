"""What a task asks of a candidate, as a worker is sent it: lists or probabilities."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class BadOutput(Exception):  # noqa: N818 - a candidate's doing, turned into a Failed
    """What a candidate returned is not a usable answer."""


class Asked(Protocol):
    """The queries of a view. `reply`: what the worker calls its answer; `block_rows`: how many are
    asked for in one request, a multiple of what the runner scores at once."""

    @property
    def reply(self) -> str: ...

    @property
    def block_rows(self) -> int: ...

    @property
    def n_items(self) -> int:
        """The size of the catalogue; 0 where nothing is listed."""
        ...

    def __len__(self) -> int: ...

    def block(self, rows: NDArray[np.int64]) -> Asked:
        """The given rows."""
        ...

    def request(self, k: int) -> tuple[dict[str, Any], bytes]:
        """The frame that asks for all of them."""
        ...

    def most_bytes(self, k: int) -> int:
        """The longest answer to that frame."""
        ...

    def blank(self, count: int, k: int) -> NDArray[Any]:
        """Room for the answers to so many of them."""
        ...

    def checked(self, payload: bytes, k: int) -> NDArray[Any]:
        """Answers from raw bytes. Raises BadOutput with what is wrong and where."""
        ...
