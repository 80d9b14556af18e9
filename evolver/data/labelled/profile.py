"""What a labelled table is like, in numbers: for people, for prompts, and for warnings.

Features are measured on the training part only; of the other parts only sizes are told.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evolver.contract import Table
from evolver.core import PartName
from evolver.data.labelled.split import TableFold, fold_table
from evolver.data.labelled.table import Categorical, LabelledTable, Listed, Numeric
from evolver.data.split import Split

TableFolds = Mapping[PartName, TableFold]
_FEW_UNITS = 200


def table_folds(table: LabelledTable, split: Split) -> dict[PartName, TableFold]:
    """All three folds."""
    names: tuple[PartName, ...] = ("search", "promotion", "test")
    return {name: fold_table(table, split, name) for name in names}


def describe_table(table: LabelledTable, split: Split | None, folds: TableFolds) -> dict[str, Any]:
    """Sizes, share of positives, and each feature; JSON-able. "features" are in no order that tells
    of names; those are in "columns"."""
    rows = split.assignment == 0 if split is not None else np.ones(len(table), dtype=bool)
    users, items = (_distinct(table, name) for name in (table.user, table.item))
    found: dict[str, Any] = {
        "name": table.name,
        "fingerprint": table.fingerprint,
        "rows": len(table),
        "users": users,
        "items": items,
        "positives": float(table.labels[rows].mean()),
        "columns": [_column(table, column, rows) for column in table.columns],
        "roles": {"user": table.user, "item": table.item},
        "timed": table.times is not None,
        "notes": list(table.notes),
    }
    if split is not None and folds:
        search = folds["search"].train
        found["codes"] = int(sum(search.sizes))
        found["split"] = {
            "kind": split.kind,
            "seed": split.seed,
            "cutoffs": [_iso(second) for second in split.cutoffs],
            "notes": list(split.notes),
        }
        found["parts"] = {"train": {"rows": len(search), "positives": _share(search)}}
        found["parts"] |= {name: _part(fold) for name, fold in folds.items()}
    return found


def warn_table(folds: TableFolds, profile: Mapping[str, Any]) -> list[str]:
    """What about the table limits what results mean, each in one line that says what to do."""
    found = []
    few = {name: fold.n_units for name, fold in folds.items() if fold.n_units < _FEW_UNITS}
    if few:
        listed = ", ".join(f"{name} {count:,}" for name, count in few.items())
        what = "users" if profile["roles"]["user"] else "runs of rows"
        found.append(
            f"few {what} to judge on ({listed}): small gains will not be provable; larger shares "
            "judge on more"
        )
    if not profile["roles"]["user"]:
        found.append(
            "no column says who: statistics resample runs of consecutive rows, and there is no "
            "GAUC; name users with --user COLUMN"
        )
    shares = {name: part["positives"] for name, part in profile["parts"].items()}
    low, high = min(shares.values()), max(shares.values())
    if high > 1.3 * low:
        found.append(
            f"the share of positives goes from {low:.1%} to {high:.1%} between parts: models will "
            "be off in their probabilities, whatever their order"
        )
    for name, part in profile["parts"].items():
        if name != "train" and part["unseen_share"] > 0.3:
            found.append(
                f"{part['unseen_share']:.0%} of the values in {name} are unknown to training; what "
                "is learned of single values helps little there"
            )
    return found


def _part(fold: TableFold) -> dict[str, Any]:
    return {
        "rows": len(fold.asked),
        "queries": fold.n_units,
        "positives": float(fold.labels.mean()),
        "unseen_users": 0 if fold.history is None else int((fold.history == 0).sum()),
        "unseen_share": _unseen(fold),
    }


def _unseen(fold: TableFold) -> float:
    """Share of categorical values to predict from whose codes no training row has."""
    shares = []
    for column, size in enumerate(fold.train.sizes):
        seen = np.bincount(fold.train.codes[:, column], minlength=size) > 0
        shares.append(float((~seen[fold.asked.codes[:, column]]).mean()))
    return float(np.mean(shares)) if shares else 0.0


def _share(table: Table) -> float:
    return 0.0 if table.labels is None else float(table.labels.mean())


def _distinct(table: LabelledTable, name: str | None) -> int:
    codes = table.codes_of(name)
    return 0 if codes is None else len(np.unique(codes))


def _column(
    table: LabelledTable, column: Categorical | Numeric | Listed, rows: NDArray[np.bool_]
) -> dict[str, Any]:
    if isinstance(column, Numeric):
        values = column.values[rows]
        usable = values[np.isfinite(values)]
        spread = np.quantile(usable, [0.0, 0.5, 1.0]).tolist() if len(usable) else []
        return {
            "name": column.name,
            "kind": column.kind,
            "missing": float(1 - len(usable) / max(len(values), 1)),
            "min_median_max": spread,
        }
    if isinstance(column, Listed):
        sizes = np.diff(column.indptr)[rows]
        return {
            "name": column.name,
            "kind": column.kind,
            "values_of": column.vocabulary,
            "distinct": len(np.unique(column.codes[np.repeat(rows, np.diff(column.indptr))])),
            "mean_length": float(sizes.mean()),
        }
    counts = np.bincount(column.codes[rows], minlength=len(table.vocabularies[column.name]))
    return {
        "name": column.name,
        "kind": column.kind,
        "distinct": int((counts > 0).sum()),
        "once": int((counts == 1).sum()),
        "largest_share": float(counts.max() / max(counts.sum(), 1)),
    }


def _iso(second: int) -> str:
    try:
        return datetime.fromtimestamp(second, tz=UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return str(second)
