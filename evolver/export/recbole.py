"""Interactions, features and split as RecBole atomic files, to compare with its models."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evolver.data.dataset import Dataset
from evolver.data.split import Split
from evolver.errors import DataError, UsageError

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

PARTS = (("train", (0,)), ("valid", (1, 2)), ("test", (3,)))
"""RecBole knows three parts: search and promotion are both its validation."""
SEALED = "test"


def write_recbole(
    folder: Path,
    name: str,
    dataset: Dataset,
    split: Split | None = None,
    *,
    sealed: bool = False,
) -> list[Path]:
    """Write `folder/name.*` and return the files: `.inter`, and `.user` / `.item` with features.

    With a split: `name.train.inter`, `.valid.inter`, and `.test.inter` unless it is to stay
    `sealed`, for RecBole's `benchmark_filename: [train, valid, test]`. A feature of one column is a
    `float`; a wider one is a `token_seq` of the columns that are set, c0, c1, ... Raises DataError
    where an id holds a tab or a line break, which these files cannot, and UsageError where files
    are there already.
    """
    if not name or any(character in name for character in "/\\\0") or name.startswith("."):
        raise UsageError(f"{name!r} is no name for files; letters, digits and - are")
    for ids, kind in ((dataset.user_ids, "user"), (dataset.item_ids, "item")):
        _refuse_breaks(ids, kind)
    tables = {f"{name}.inter": _interactions(dataset)}
    if split is not None:
        tables = {
            f"{name}.{part}.inter": _interactions(dataset, np.isin(split.assignment, numbers))
            for part, numbers in PARTS
            if not (sealed and part == SEALED)
        }
    if dataset.user_features:
        tables[f"{name}.user"] = _features("user_id", dataset.user_ids, dataset.user_features)
    if dataset.item_features:
        tables[f"{name}.item"] = _features("item_id", dataset.item_ids, dataset.item_features)
    there = [file for file in tables if (folder / file).exists()]
    if there:
        raise UsageError(f"{folder / there[0]} is there already; name another folder with -o")
    folder.mkdir(parents=True, exist_ok=True)
    for file, table in tables.items():
        table.write_csv(folder / file, separator="\t", quote_style="never")
    return [folder / file for file in tables]


def _refuse_breaks(ids: NDArray[np.str_], kind: str) -> None:
    for name in ids.tolist():
        if not name or any(character in name for character in "\t\n\r"):
            raise DataError(
                f"{kind} id {name!r} is empty or holds a tab or line break, which atomic files "
                "cannot carry; rename it in the source"
            )


def _interactions(dataset: Dataset, rows: NDArray[np.bool_] | None = None) -> pl.DataFrame:
    chosen = slice(None) if rows is None else rows
    columns: dict[str, NDArray[Any]] = {
        "user_id:token": dataset.user_ids[dataset.users[chosen]],
        "item_id:token": dataset.item_ids[dataset.items[chosen]],
    }
    if dataset.values is not None:
        columns["rating:float"] = dataset.values[chosen]
    if dataset.times is not None:
        columns["timestamp:float"] = dataset.times[chosen]
    return pl.DataFrame({name: _series(column) for name, column in columns.items()})


def _series(column: NDArray[np.generic]) -> pl.Series:
    if column.dtype.kind == "U":
        return pl.Series(column.tolist(), dtype=pl.String)
    return pl.Series(np.ascontiguousarray(column))


def _features(key: str, ids: NDArray[np.str_], features: Mapping[str, csr_matrix]) -> pl.DataFrame:
    columns = {f"{key}:token": _series(ids)}
    for name, matrix in features.items():
        label = "".join(c if c.isalnum() or c in "-_" else "_" for c in name)
        if matrix.shape[1] == 1:
            columns[f"{label}:float"] = pl.Series(matrix.toarray()[:, 0])
            continue
        sets = np.split(matrix.indices, matrix.indptr[1:-1])
        tokens = [" ".join(f"c{column}" for column in sorted(row)) for row in sets]
        columns[f"{label}:token_seq"] = pl.Series(tokens, dtype=pl.String)
    return pl.DataFrame(columns)
