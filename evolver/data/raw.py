"""What a reader hands on before ids become numbers and rows get their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evolver.errors import DataError

TRAIN, VALIDATION, TEST = 0, 1, 2
PUBLISHED_NAMES = {
    "train": TRAIN, "training": TRAIN,
    "valid": VALIDATION, "validation": VALIDATION, "val": VALIDATION, "dev": VALIDATION,
    "test": TEST, "testing": TEST,
}  # fmt: skip
_MISSING = ("", "nan", "NaN", "null", "NULL", "None")


@dataclass(frozen=True, kw_only=True)
class FeatureColumn:
    """One property. token: one text each; tokens: a list of texts each; float: a number each."""

    kind: Literal["token", "tokens", "float"]
    values: pl.Series


@dataclass(frozen=True, kw_only=True)
class FeatureTable:
    """Properties of users or of items. ids: String, one row each."""

    side: Literal["user", "item"]
    ids: pl.Series
    columns: Mapping[str, FeatureColumn]


@dataclass(frozen=True, kw_only=True)
class Raw:
    """Interactions as read, in the order of the file.

    users, items: Int64 or String without nulls, from `clean_ids`. times: as in the source, for
    `times.normalise`. values: Float64, NaN where the source has none. part: (n,) int8 as in
    `Dataset.published`. ordered: the file's order within a user is the order in time.
    """

    name: str
    users: pl.Series
    items: pl.Series
    times: pl.Series | None = None
    values: pl.Series | None = None
    part: NDArray[np.int8] | None = None
    ordered: bool = False
    features: tuple[FeatureTable, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.users)


def join_parts(name: str, parts: Sequence[tuple[int, Raw]]) -> Raw:
    """One `Raw` of several published parts, in the order of their numbers.

    Times and values are kept only where every part has them.
    """
    parts = sorted(parts, key=lambda pair: pair[0])
    raws = [raw for _, raw in parts]
    first = raws[0]
    return replace(
        first,
        name=name,
        users=_concatenated([raw.users for raw in raws]),
        items=_concatenated([raw.items for raw in raws]),
        times=_optional([raw.times for raw in raws]),
        values=_optional([raw.values for raw in raws]),
        part=np.repeat(
            np.array([number for number, _ in parts], dtype=np.int8), [len(raw) for raw in raws]
        ),
        ordered=all(raw.ordered for raw in raws),
        notes=tuple(dict.fromkeys(note for raw in raws for note in raw.notes)),
    )


def clean_ids(column: pl.Series, where: str) -> pl.Series:
    """Ids as Int64 where each is written as a plain whole number, else as String.

    "007" and "7" stay different; so do numbers past 64 bits. Raises `DataError` for missing ids.
    """
    if column.dtype.is_float():
        whole = column.cast(pl.Int64, strict=False)
        _refuse_missing(column, column.is_null() | column.is_nan(), where)
        return whole if (whole == column).all() else column.cast(pl.String)
    if column.dtype.is_integer():
        _refuse_missing(column, column.is_null(), where)
        narrow = column.cast(pl.Int64, strict=False)
        return narrow if not narrow.null_count() else column.cast(pl.String)
    if column.dtype != pl.String:
        column = column.cast(pl.String, strict=False)
    numbers = column.cast(pl.Int64, strict=False)
    if not numbers.null_count() and _plainly_written(column, numbers):
        return numbers
    column = column.str.strip_chars()
    _refuse_missing(column, column.is_null() | column.is_in(_MISSING), where)
    numbers = column.cast(pl.Int64, strict=False)
    if not numbers.null_count() and _plainly_written(column, numbers):
        return numbers
    return column


def _plainly_written(texts: pl.Series, numbers: pl.Series) -> bool:
    odd = texts.str.starts_with("0") | texts.str.starts_with("-") | texts.str.starts_with("+")
    if not odd.any():
        return True
    return bool((numbers.filter(odd).cast(pl.String) == texts.filter(odd)).all())


def _refuse_missing(column: pl.Series, missing: pl.Series, where: str) -> None:
    count = int(missing.sum())
    if count:
        row = int(missing.arg_max() or 0) + 1
        raise DataError(
            f"{where} row {row}: '{column.name}' is empty ({count:,} of {len(column):,} rows); "
            "remove these rows or name another column"
        )


def _concatenated(columns: Sequence[pl.Series]) -> pl.Series:
    if len({str(column.dtype) for column in columns}) > 1:
        columns = [column.cast(pl.String) for column in columns]
    return pl.concat(columns)


def _optional(columns: Sequence[pl.Series | None]) -> pl.Series | None:
    present = [column for column in columns if column is not None]
    return _concatenated(present) if len(present) == len(columns) else None
