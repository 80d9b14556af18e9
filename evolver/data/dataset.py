"""Interactions in memory: dense ids, one order, one fingerprint."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """Who took what. Immutable.

    Rows lie together by user, and within a user from oldest to newest (by time; by file order
    where `ordered` says that the file's order means something; arbitrary but fixed otherwise).

    users, items: (n,) int32 dense numbers. times: (n,) int64 seconds since 1970, or None.
    values: (n,) float32 (rating, count), or None. user_ids[u], item_ids[i]: the original names.
    published: (n,) int8 where the source came split: 0 train, 1 validation, 2 test; else None.
    notes: what was changed while reading ("312 duplicate rows merged"), for people.
    merged_rows: duplicates that were merged away.
    """

    name: str
    users: NDArray[np.int32]
    items: NDArray[np.int32]
    user_ids: NDArray[np.str_]
    item_ids: NDArray[np.str_]
    times: NDArray[np.int64] | None = None
    values: NDArray[np.float32] | None = None
    published: NDArray[np.int8] | None = None
    ordered: bool = False
    user_features: Mapping[str, csr_matrix] = field(default_factory=dict)
    item_features: Mapping[str, csr_matrix] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    merged_rows: int = 0

    @property
    def n_users(self) -> int:
        return len(self.user_ids)

    @property
    def n_items(self) -> int:
        return len(self.item_ids)

    def __len__(self) -> int:
        return len(self.users)

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits over everything a candidate or a metric could depend on."""
        digest = hashlib.sha256()
        for array in (self.users, self.items, self.times, self.values, self.published):
            digest.update(b"none" if array is None else f"{array.dtype}{array.shape}".encode())
            if array is not None:
                digest.update(np.ascontiguousarray(array).data)
        for features in (self.user_features, self.item_features):
            for name in sorted(features):
                matrix = features[name]
                digest.update(f"{name}{matrix.shape}".encode())
                for part in (matrix.indptr, matrix.indices, matrix.data):
                    digest.update(np.ascontiguousarray(part).data)
        for ids in (self.user_ids, self.item_ids):
            digest.update("\0".join(ids.tolist()).encode())
        return digest.hexdigest()[:16]
