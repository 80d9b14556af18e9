"""Whom or what a task asks for, read from its view: what is sent to a worker, a block at a time.

Only training data is mounted in a worker. The histories of those who are asked for, or the rows to
predict, come over the pipe when they are asked for, so that nothing of them can be learned from.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evolver.data.ragged import picked
from evolver.execute.asked import Asked
from evolver.execute.check import checked_lists
from evolver.execute.rows import Rows
from evolver.execute.slates import Slates

BLOCK_ROWS = 2048
"""In one request; a multiple of the block that the runner scores at once."""
TRAINING_FILES = (
    *("view.json", "users.npy", "items.npy", "times.npy", "values.npy"),
    *("codes.npy", "numbers.npy", "train_labels.npy"),
)
FEATURE_FILES = ("user_feature_*.npy", "item_feature_*.npy", "list_*.npy", "ranked_*.npy")


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
        indptr, places = picked(self.indptr, rows)
        return replace(
            self,
            ids=self.ids[rows],
            known=self.known[rows],
            indptr=indptr,
            items=self.items[places],
            times=None if self.times is None else self.times[places],
        )

    @property
    def reply(self) -> str:
        return "lists"

    @property
    def block_rows(self) -> int:
        return BLOCK_ROWS

    def request(self, k: int) -> tuple[dict[str, Any], bytes]:
        """Header and payload; the widest numbers come first."""
        parts: list[NDArray[np.generic]] = [self.ids, self.indptr]
        if self.times is not None:
            parts.append(self.times)
        parts += [self.items, self.known]
        header = {
            "type": "recommend",
            "k": k,
            "rows": len(self),
            "history": len(self.items),
            "times": self.times is not None,
        }
        return header, b"".join(np.ascontiguousarray(part).tobytes() for part in parts)

    def most_bytes(self, k: int) -> int:
        return len(self) * k * 4

    def blank(self, count: int, k: int) -> NDArray[np.int32]:
        return np.empty((count, k), dtype=np.int32)

    def checked(self, payload: bytes, k: int) -> NDArray[np.int32]:
        """(rows, k) int32 from raw bytes. Raises BadOutput."""
        return checked_lists(payload, self, k)


def training_files(view: Path) -> list[Path]:
    """The files of a view that a worker may read, in a fixed order."""
    plain = [view / name for name in TRAINING_FILES if (view / name).is_file()]
    return plain + sorted(path for pattern in FEATURE_FILES for path in view.glob(pattern))


def load_queries(view: Path) -> Asked:
    """The queries of a view, memory-mapped. Raises FileNotFoundError on an incomplete view."""
    return _load_queries(view, (view / "view.json").stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _load_queries(view: Path, _written: int) -> Asked:
    facts = json.loads((view / "view.json").read_text())

    def read(name: str) -> NDArray[np.generic]:
        return np.load(view / f"query_{name}.npy", mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]

    if facts["task"] == "ranking":
        return Rows(
            codes=read("codes").astype(np.int32, copy=False),
            numbers=read("numbers").astype(np.float32, copy=False),
            lists=tuple(
                (
                    read(f"list_{n}.indptr").astype(np.int64, copy=False),
                    read(f"list_{n}.codes").astype(np.int32, copy=False),
                )
                for n in range(len(facts["lists"]))
            ),
            times=_times(view, "query_times"),
        )
    if facts["task"] == "reranking":
        return Slates(
            items=read("ranked_items").astype(np.int32, copy=False),
            scores=read("ranked_scores").astype(np.float32, copy=False),
            users=Queries(
                ids=read("ranked_ids").astype(np.int64, copy=False),
                known=read("ranked_known").astype(np.bool_, copy=False),
                indptr=read("ranked_indptr").astype(np.int64, copy=False),
                items=read("ranked_histories").astype(np.int32, copy=False),
                times=_times(view, "query_ranked_times"),
                n_items=int(facts["n_items"]),
                repeats=bool(facts["repeats"]),
            ),
        )
    return Queries(
        ids=read("ids").astype(np.int64, copy=False),
        known=read("known").astype(np.bool_, copy=False),
        indptr=read("indptr").astype(np.int64, copy=False),
        items=read("items").astype(np.int32, copy=False),
        times=_times(view, "query_times"),
        n_items=int(facts["n_items"]),
        repeats=bool(facts["repeats"]),
    )


def _times(view: Path, name: str) -> NDArray[np.int64] | None:
    place = view / f"{name}.npy"
    if not place.exists():
        return None
    times = np.load(place, mmap_mode="r", allow_pickle=False)
    return np.asarray(times.astype(np.int64, copy=False))
