"""`evolver export-table`: everything that a run tried, for notebooks and dashboards."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export_table(
    place: Annotated[
        Path | None, typer.Argument(metavar="[RUN]", help="The run's folder; default the latest.")
    ] = None,
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="The file to write: .parquet, .csv or .jsonl."),
    ] = Path("candidates.parquet"),
) -> None:
    """Write one row for each candidate: who, what, metrics, costs, source."""
    from evolver import run
    from evolver.export.table import write_table

    opened = run.reopen(place or run.latest())
    history = opened.archive.history()
    write_table(out, history)
    typer.echo(f"wrote {len(history)} candidates to {out}")
