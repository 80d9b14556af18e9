"""What a sandbox may read of a table's fold, as plain files. Labels of training rows, no others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evolver.contract import Table
from evolver.data.labelled.split import TableFold
from evolver.tasks.view import written


def write_table_view(fold: TableFold, folder: Path) -> None:
    """Write the training rows and the rows to predict of `fold` as .npy files and view.json."""
    write_tables(fold.train, fold.asked, folder)


def write_tables(train: Table, asked: Table, folder: Path) -> None:
    """Write rows to learn from, with labels, and rows to predict, which must not have any."""
    if train.labels is None or asked.labels is not None:
        raise ValueError("training rows need labels, and rows to predict must not have any")
    arrays = {
        **_arrays(train),
        "train_labels": train.labels.astype(np.float32, copy=False),
        **{f"query_{name}": array for name, array in _arrays(asked).items()},
    }
    written(folder, arrays, _facts(train))


def _facts(table: Table) -> dict[str, object]:
    return {
        "task": "ranking",
        "sizes": list(table.sizes),
        "numbers": int(table.numbers.shape[1]),
        "lists": [
            {"size": each.size, "ordered": each.ordered, "column": each.column}
            for each in table.lists
        ],
        "times": table.times is not None,
        "user": table.user,
        "item": table.item,
    }


def _arrays(table: Table) -> dict[str, NDArray[np.generic]]:
    """Named one by one: a field that is added to a table does not reach a sandbox by itself."""
    arrays: dict[str, NDArray[np.generic]] = {
        "codes": table.codes.astype(np.int32, copy=False),
        "numbers": table.numbers.astype(np.float32, copy=False),
    }
    if table.times is not None:
        arrays["times"] = table.times.astype(np.int64, copy=False)
    for number, each in enumerate(table.lists):
        arrays[f"list_{number}.indptr"] = each.indptr.astype(np.int64, copy=False)
        arrays[f"list_{number}.codes"] = each.codes.astype(np.int32, copy=False)
    return arrays
