"""A labelled table in memory: columns as dense codes or numbers, one fingerprint."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["categorical", "numeric", "multi", "sequence"]
KINDS: tuple[Kind, ...] = ("categorical", "numeric", "multi", "sequence")


@dataclass(frozen=True, kw_only=True, eq=False)
class Categorical:
    """One value a row; codes: (n,) int32 into the values of its vocabulary. "" where missing."""

    name: str
    codes: NDArray[np.int32]

    @property
    def kind(self) -> Kind:
        return "categorical"

    @property
    def vocabulary(self) -> str:
        return self.name


@dataclass(frozen=True, kw_only=True, eq=False)
class Numeric:
    """One number a row; values: (n,) float64, NaN where missing."""

    name: str
    values: NDArray[np.float64]

    @property
    def kind(self) -> Kind:
        return "numeric"


@dataclass(frozen=True, kw_only=True, eq=False)
class Listed:
    """Several values a row, perhaps none: codes[indptr[r]:indptr[r + 1]] of row r.

    indptr: (n + 1,) int64. codes: int32 into the values of `vocabulary`, which may be that of
    another column. ordered: a sequence, oldest first.
    """

    name: str
    indptr: NDArray[np.int64]
    codes: NDArray[np.int32]
    vocabulary: str
    ordered: bool

    @property
    def kind(self) -> Kind:
        return "sequence" if self.ordered else "multi"


Column = Categorical | Numeric | Listed


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelledTable:
    """Rows in the order of the file. Immutable.

    labels: (n,) float32, 0 or 1; label: what their column is called. vocabularies: the distinct
    values, ascending, by column name. times: (n,) int64 seconds, or None. published: (n,) int8 as
    in `Dataset.published`. user, item: names of columns, or None. notes: for people.
    """

    name: str
    labels: NDArray[np.float32]
    columns: tuple[Column, ...]
    vocabularies: Mapping[str, tuple[str, ...]]
    times: NDArray[np.int64] | None = None
    published: NDArray[np.int8] | None = None
    user: str | None = None
    item: str | None = None
    label: str = "label"
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def categorical(self) -> tuple[Categorical, ...]:
        return tuple(c for c in self.columns if isinstance(c, Categorical))

    @property
    def numeric(self) -> tuple[Numeric, ...]:
        return tuple(c for c in self.columns if isinstance(c, Numeric))

    @property
    def listed(self) -> tuple[Listed, ...]:
        return tuple(c for c in self.columns if isinstance(c, Listed))

    def codes_of(self, name: str | None) -> NDArray[np.int32] | None:
        """(n,) the codes of a categorical column; None where there is no such column."""
        return next((c.codes for c in self.categorical if c.name == name), None)

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits over everything a candidate or a metric could depend on."""
        digest = hashlib.sha256()
        for array in (self.labels, self.times, self.published, *self._arrays()):
            digest.update(b"none" if array is None else f"{array.dtype}{array.shape}".encode())
            if array is not None:
                digest.update(np.ascontiguousarray(array).data)
        for column in self.columns:
            digest.update(f"{column.kind}\0{column.name}\0".encode())
        for name, values in self.vocabularies.items():
            digest.update("\0".join((name, *values)).encode())
        digest.update(f"{self.user}\0{self.item}".encode())
        return digest.hexdigest()[:16]

    def _arrays(self) -> list[NDArray[np.generic]]:
        found: list[NDArray[np.generic]] = []
        for column in self.columns:
            if isinstance(column, Numeric):
                found.append(column.values)
            elif isinstance(column, Listed):
                found += [column.indptr, column.codes]
            else:
                found.append(column.codes)
        return found
