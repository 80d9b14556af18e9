"""Whom a task asks for, read from its view: what is sent to a worker, a block at a time.

Only training interactions are mounted in a worker. The histories of those who are asked for come
over the pipe when they are asked for, so that nothing of them can be learned from.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TRAINING_FILES = ("view.json", "users.npy", "items.npy", "times.npy", "values.npy")
FEATURE_FILES = ("user_feature_*.npy", "item_feature_*.npy")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Queries:
    """All queries of a view; the history of row r is items[indptr[r]:indptr[r + 1]]."""

    ids: NDArray[np.int64]
    known: NDArray[np.bool_]
    indptr: NDArray[np.int64]
    items: NDArray[np.int32]
    times: NDArray[np.int64] | None
    n_items: int
    repeats: bool

    def __len__(self) -> int:
        return len(self.ids)

    def block(self, rows: NDArray[np.int64]) -> Queries:
        """The given rows."""
        sizes = self.indptr[rows + 1] - self.indptr[rows]
        indptr = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        places = np.repeat(self.indptr[rows] - indptr[:-1], sizes) + np.arange(indptr[-1])
        return Queries(
            ids=self.ids[rows],
            known=self.known[rows],
            indptr=indptr,
            items=self.items[places],
            times=None if self.times is None else self.times[places],
            n_items=self.n_items,
            repeats=self.repeats,
        )

    def packed(self) -> tuple[dict[str, int | bool], bytes]:
        """Header fields and payload of a request; the widest numbers come first."""
        parts: list[NDArray[np.generic]] = [self.ids, self.indptr]
        if self.times is not None:
            parts.append(self.times)
        parts += [self.items, self.known]
        header = {"rows": len(self), "history": len(self.items), "times": self.times is not None}
        return header, b"".join(np.ascontiguousarray(part).tobytes() for part in parts)


def training_files(view: Path) -> list[Path]:
    """The files of a view that a worker may read, in a fixed order."""
    plain = [view / name for name in TRAINING_FILES if (view / name).is_file()]
    return plain + sorted(path for pattern in FEATURE_FILES for path in view.glob(pattern))


def load_queries(view: Path) -> Queries:
    """The queries of a view, memory-mapped. Raises FileNotFoundError on an incomplete view."""
    return _load_queries(view, (view / "view.json").stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _load_queries(view: Path, _written: int) -> Queries:
    facts = json.loads((view / "view.json").read_text())

    def read(name: str) -> NDArray[np.generic]:
        return np.load(view / f"{name}.npy", mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]

    times = read("query_times") if (view / "query_times.npy").exists() else None
    return Queries(
        ids=read("query_ids").astype(np.int64, copy=False),
        known=read("query_known").astype(np.bool_, copy=False),
        indptr=read("query_indptr").astype(np.int64, copy=False),
        items=read("query_items").astype(np.int32, copy=False),
        times=None if times is None else times.astype(np.int64, copy=False),
        n_items=int(facts["n_items"]),
        repeats=bool(facts["repeats"]),
    )
