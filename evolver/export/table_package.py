"""Writes a ranking candidate as an installable package: vocabularies, weights, a parity test."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evolver.core import Candidate, Value
from evolver.data.labelled.encode import Encoder
from evolver.data.labelled.kinds import kind_of
from evolver.data.labelled.split import TableFold
from evolver.data.labelled.table import LabelledTable, Listed, Numeric
from evolver.export.card import CardFacts
from evolver.export.contents import TEXTS, Contents, assemble, code_of, shared, write_json

PARITY_ROWS = 512
_SHOWN = 4


def write_table_package(
    destination: Path,
    name: str,
    *,
    candidate: Candidate,
    values: Mapping[str, Value],
    weights: bytes,
    table: LabelledTable,
    fold: TableFold,
    rows: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    card: CardFacts,
    overwrite: bool = False,
) -> Path:
    """Write the package into `destination` and return that folder, resolved.

    `rows` are the rows of the table that `fold` asked for, `probabilities` what the sandbox said of
    them with the `weights`; the first of them become the parity test. Raises UsageError for a name
    or destination that cannot be used.
    """
    taken = rows[:PARITY_ROWS]
    known = [plain_row(table, int(row)) for row in taken]
    times = None if table.times is None else [int(table.times[row]) for row in taken]
    described = _encoder(fold.encoder, fold)

    def write_data(folder: Path) -> None:
        write_json(folder / "encoder.json", described)
        write_json(folder / "parity_rows.json", {"rows": known, "times": times})
        np.save(folder / "parity.npy", probabilities[: len(taken)], allow_pickle=False)

    return assemble(
        destination,
        Contents(
            name=name,
            candidate=candidate,
            values=values,
            weights={"weights.safetensors": weights},
            programs={"_candidate": candidate.source},
            code={**code_of("ranker"), "_prediction.py": shared("prediction")},
            card=card,
            facts={
                "label": table.label,
                "user": table.user,
                "item": table.item,
                "columns": {column.name: kind_of(column) for column in table.columns},
            },
            texts=TEXTS | {"README.md": "README_ranking.md"},
            context={
                "task": "ranking",
                "label": table.label,
                "columns": len(table.columns),
                "units": "users" if fold.history is not None else "runs of rows",
                "parity_rows": len(taken),
                "example": _example(known[0]),
            },
        ),
        write_data,
        overwrite=overwrite,
    )


def plain_row(table: LabelledTable, row: int) -> dict[str, Any]:
    """One row as its values were read, by column; JSON-able, without the label."""
    found: dict[str, Any] = {}
    for column in table.columns:
        if isinstance(column, Numeric):
            value = float(column.values[row])
            found[column.name] = value if np.isfinite(value) else None
        elif isinstance(column, Listed):
            known = table.vocabularies[column.vocabulary]
            codes = column.codes[column.indptr[row] : column.indptr[row + 1]]
            found[column.name] = [known[code] for code in codes]
        else:
            found[column.name] = table.vocabularies[column.name][column.codes[row]]
    return found


def _encoder(encoder: Encoder, fold: TableFold) -> dict[str, Any]:
    times = fold.train.times
    return {
        "categorical": list(encoder.categorical),
        "scales": {name: list(scale) for name, scale in encoder.scales.items()},
        "listed": [list(each) for each in encoder.listed],
        "vocabularies": {
            name: {"known": list(each.known), "buckets": each.buckets}
            for name, each in encoder.vocabularies.items()
        },
        "user": fold.train.user,
        "item": fold.train.item,
        "latest_time": None if times is None else int(times.max()),
    }


def _example(row: Mapping[str, Any]) -> str:
    shown = dict(list(row.items())[:_SHOWN])
    return repr(shown) if len(shown) == len(row) else f"{repr(shown)[:-1]}, ...}}"
