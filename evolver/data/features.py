"""Properties of users and items as sparse matrices, one matrix a property."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evolver.data.raw import FeatureColumn, FeatureTable

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

NEARLY_UNIQUE = 0.5
"""A one-hot property with more values than this share of those who have it says who, not what."""


def matrices(
    tables: Iterable[FeatureTable], ids: NDArray[np.str_], side: str
) -> tuple[dict[str, csr_matrix], list[str]]:
    """Matrices (len(ids), width) by name, and notes about what was left out.

    token: one-hot; tokens: ones at each of them; float: one column, standardised to mean 0 and
    deviation 1 over those who have it. Who is not in the table has an empty row.
    """
    place = pl.DataFrame(
        {"id": pl.Series(ids.tolist(), dtype=pl.String), "row": np.arange(len(ids))}
    )
    found: dict[str, csr_matrix] = {}
    notes: list[str] = []
    for table in tables:
        if table.side != side:
            continue
        known = table.ids.to_frame("id").with_row_index("at").unique("id", keep="last")
        rows = known.join(place, on="id", how="inner").sort("row")
        for name, column in table.columns.items():
            values = column.values.gather(rows["at"])
            matrix, reason = _matrix(column, values, rows["row"].to_numpy(), len(ids))
            if matrix is None:
                notes.append(f"{side} feature '{name}' left out: {reason}")
            else:
                found[name] = matrix
    return found, notes


def _matrix(
    column: FeatureColumn, values: pl.Series, rows: NDArray[np.int64], n: int
) -> tuple[csr_matrix | None, str]:
    if column.kind == "float":
        return _standardised(values, rows, n)
    if column.kind == "tokens":
        frame = pl.DataFrame({"row": rows, "token": values}).explode("token")
    else:
        frame = pl.DataFrame({"row": rows, "token": values})
    frame = frame.filter(pl.col("token").is_not_null() & (pl.col("token") != "")).unique(
        maintain_order=True
    )
    distinct = frame["token"].n_unique()
    if distinct < 2:
        return None, "it is the same for all"
    if column.kind == "token" and distinct > NEARLY_UNIQUE * frame.height:
        return None, f"{distinct:,} values for {frame.height:,} rows name each one, not a kind"
    return _one_hot(frame, n), ""


def _one_hot(frame: pl.DataFrame, n: int) -> csr_matrix:
    from scipy.sparse import csr_matrix

    names = frame["token"].unique().sort()
    columns = frame["token"].cast(pl.Enum(names)).to_physical().to_numpy().astype(np.int64)
    ones = np.ones(frame.height, dtype=np.float32)
    matrix = csr_matrix((ones, (frame["row"].to_numpy(), columns)), shape=(n, len(names)))
    matrix.sort_indices()
    return matrix


def _standardised(
    values: pl.Series, rows: NDArray[np.int64], n: int
) -> tuple[csr_matrix | None, str]:
    from scipy.sparse import csr_matrix

    numbers = values.cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy()
    usable = np.isfinite(numbers)
    numbers, rows = numbers[usable], rows[usable]
    spread = float(numbers.std()) if len(numbers) else 0.0
    if spread == 0.0:
        return None, "it is the same for all" if len(numbers) else "it holds no numbers"
    standard = ((numbers - numbers.mean()) / spread).astype(np.float32)
    zeros = np.zeros(len(rows), dtype=np.int64)
    return csr_matrix((standard, (rows, zeros)), shape=(n, 1)), ""
