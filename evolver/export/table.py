"""Everything that a run tried, as one table: a row a candidate, for notebooks and dashboards."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from evolver.core import Entry, Failed, Scored, Stopped
from evolver.errors import UsageError
from evolver.text import encodable

_WRITERS: dict[str, Callable[[pl.DataFrame, Path], object]] = {
    ".parquet": lambda table, path: table.write_parquet(path),
    ".csv": lambda table, path: table.with_columns(
        pl.col("parents").list.join(" ").alias("parents")
    ).write_csv(path),
    ".jsonl": lambda table, path: table.write_ndjson(path),
}
_PLAIN: dict[str, Any] = {
    "number": pl.Int64,
    "id": pl.String,
    "name": pl.String,
    "family": pl.String,
    "proposer": pl.String,
    "operator": pl.String,
    "model": pl.String,
    "direction": pl.String,
    "parents": pl.List(pl.String),
    "status": pl.String,
    "reason": pl.String,
    "seconds": pl.Float64,
    "fit_seconds": pl.Float64,
    "score_seconds": pl.Float64,
    "latency_ms_p50": pl.Float64,
    "latency_ms_p99": pl.Float64,
    "parameters": pl.Int64,
    "peak_bytes": pl.Int64,
    "unserved": pl.Int64,
    "values": pl.String,
    "idea": pl.String,
    "expect": pl.String,
    "source": pl.String,
}


def candidate_table(entries: Sequence[Entry]) -> pl.DataFrame:
    """One row for each entry, in their order; a column `metric:NAME` for each metric.

    status is "scored", "stopped" or the kind of failure; what has no score has no metrics and no
    costs, not zeros. `values` is JSON.
    """
    names = dict.fromkeys(
        name
        for entry in entries
        if isinstance(entry.evaluation, Scored)
        for name in entry.evaluation.metrics
    )
    schema: dict[str, Any] = _PLAIN | {f"metric:{name}": pl.Float64 for name in names}
    return pl.DataFrame([_row(entry) for entry in entries], schema=schema)


def write_table(path: Path, entries: Sequence[Entry]) -> Path:
    """Write the table as Parquet, CSV or JSON lines, by the ending of `path`.

    Raises UsageError on another ending.
    """
    writer = _WRITERS.get(path.suffix.lower())
    if writer is None:
        raise UsageError(
            f"{path.name}: a table ends in {', '.join(_WRITERS)}; for example candidates.parquet"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    writer(candidate_table(entries), path)
    return path


def _row(entry: Entry) -> dict[str, Any]:
    candidate, evaluation = entry.candidate, entry.evaluation
    row: dict[str, Any] = {
        name: getattr(candidate, name)
        for name in ("id", "name", "family", "proposer", "operator", "model", "direction")
    }
    row |= {name: encodable(getattr(candidate, name)) for name in ("idea", "expect", "source")}
    row |= {
        "name": encodable(candidate.name),
        "number": entry.number,
        "parents": list(candidate.parents),
        "seconds": entry.seconds,
        "values": json.dumps(dict(candidate.values), sort_keys=True),
    }
    if isinstance(evaluation, Failed):
        return row | {"status": evaluation.kind, "reason": encodable(evaluation.reason)}
    if isinstance(evaluation, Stopped):
        return row | {"status": "stopped", "reason": encodable(evaluation.reason)}
    row |= {name: getattr(evaluation, name) for name in _PLAIN if hasattr(evaluation, name)}
    row |= {f"metric:{name}": value for name, value in evaluation.metrics.items()}
    return row | {"status": "scored"}
