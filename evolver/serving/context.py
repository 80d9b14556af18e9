"""Contexts as numbers: what a policy may look at, and how it is written down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evolver.errors import DataError

Floats = NDArray[np.float64]
MOST_LEVELS = 50
ALWAYS = "always"
"""The name of the term that is 1 in every context."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextColumn:
    """One context column: a number that is standardised, or levels that become 0/1 columns.

    A level that was not there when the encoder was fitted is all zeros.
    """

    name: str
    mean: float = 0.0
    deviation: float = 1.0
    levels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoder:
    """Turns rows of context columns into (n, width) numbers, the first column all ones."""

    columns: tuple[ContextColumn, ...] = ()

    @property
    def terms(self) -> tuple[str, ...]:
        """What each encoded column means: `always`, `age`, `gender=F`."""
        found = [ALWAYS]
        for column in self.columns:
            found += [f"{column.name}={level}" for level in column.levels] or [column.name]
        return tuple(found)

    def encode(self, context: pl.DataFrame, rows: int | None = None) -> Floats:
        """(n, len(terms)) float64. Raises `DataError` where a column is missing or no number."""
        n = rows if rows is not None else len(context)
        parts = [np.ones((n, 1))]
        for column in self.columns:
            if column.name not in context.columns:
                raise DataError(f"the policy looks at context '{column.name}', which is not there")
            values = context[column.name]
            if column.levels:
                text = values.cast(pl.String).to_numpy()
                parts.append(np.stack([text == level for level in column.levels], 1).astype(float))
                continue
            numbers = values.cast(pl.Float64, strict=False)
            if numbers.null_count() or numbers.is_nan().any():
                raise DataError(f"context '{column.name}' is a number for the policy, not text")
            parts.append(((numbers.to_numpy() - column.mean) / column.deviation)[:, None])
        return np.concatenate(parts, axis=1)

    def to_json(self) -> list[dict[str, Any]]:
        return [
            {"column": c.name, "levels": list(c.levels)}
            if c.levels
            else {"column": c.name, "mean": c.mean, "deviation": c.deviation}
            for c in self.columns
        ]


def encoder_from_json(value: Sequence[Mapping[str, Any]]) -> Encoder:
    """Raises KeyError, TypeError or ValueError on anything that `to_json` would not write."""
    return Encoder(
        columns=tuple(
            ContextColumn(name=str(c["column"]), levels=tuple(map(str, c["levels"])))
            if "levels" in c
            else ContextColumn(
                name=str(c["column"]), mean=float(c["mean"]), deviation=float(c["deviation"])
            )
            for c in value
        )
    )


def fit_encoder(context: pl.DataFrame) -> Encoder:
    """Numbers by their mean and deviation, everything else by its levels.

    Text with more than 50 levels is refused: that says who, not what. Raises `DataError`.
    """
    columns = []
    for name in context.columns:
        values = context[name]
        if values.dtype.is_numeric():
            numbers = values.cast(pl.Float64).to_numpy()
            columns.append(
                ContextColumn(
                    name=name,
                    mean=float(numbers.mean()),
                    deviation=float(numbers.std()) or 1.0,
                )
            )
            continue
        levels = values.cast(pl.String).unique().sort().to_list()
        if len(levels) > MOST_LEVELS:
            raise DataError(
                f"context '{name}' has {len(levels)} different values, more than {MOST_LEVELS}; "
                "use a column that groups them"
            )
        columns.append(ContextColumn(name=name, levels=tuple(levels)))
    return Encoder(columns=tuple(columns))
