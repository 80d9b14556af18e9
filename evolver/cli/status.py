"""`evolver status`: where a run stands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from evolver.cli.options import Json


def status(
    place: Annotated[
        Path | None, typer.Argument(metavar="[RUN]", help="The run's folder; default the latest.")
    ] = None,
    top: Annotated[int, typer.Option(help="Rows of the leaderboard in --json.")] = 20,
    as_json_: Json = False,
) -> None:
    """Where a run stands: leaderboard, gain over the tuned baseline, failures, what was spent.

    Safe to call while the run is going on.
    """
    from evolver import run
    from evolver.cli import show
    from evolver.summary import as_json, summarise

    opened = run.reopen(place or run.latest())
    found = summarise(opened)
    if as_json_:
        print(json.dumps(as_json(opened, found, top), indent=2))  # noqa: T201
    else:
        show.summary(Console(), opened, found)
