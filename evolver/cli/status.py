"""`evolver status`: where a run stands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from evolver.cli.options import Json
from evolver.config import STAGED

if TYPE_CHECKING:
    from evolver.run import Run


def status(
    place: Annotated[
        Path | None, typer.Argument(metavar="[RUN]", help="The run's folder; default the latest.")
    ] = None,
    top: Annotated[int, typer.Option(help="Rows of the leaderboard in --json.")] = 20,
    candidate: Annotated[
        str | None,
        typer.Option(
            help="Show one candidate instead: for whom it is good, by slice of users, against "
            "parent, baseline and best. A number, an id, best or baseline."
        ),
    ] = None,
    as_json_: Json = False,
) -> None:
    """Where a run stands: verdict, leaderboard, noise floor, failures, what was spent.

    Safe to call while the run is going on.
    """
    from evolver import run
    from evolver.cli import show
    from evolver.report.pipeline import pipeline_data
    from evolver.summary import as_json, summarise

    opened = run.reopen(place or run.latest())
    if candidate is not None:
        _one(opened, candidate, as_json=as_json_)
        return
    found = summarise(opened)
    if as_json_:
        told = as_json(opened, found, top)
        if opened.task.name in STAGED:
            told["pipeline"] = pipeline_data(opened)
        print(json.dumps(told, indent=2))  # noqa: T201
    else:
        show.summary(Console(), opened, found)


def _one(opened: Run, wanted: str, *, as_json: bool) -> None:
    """For whom one candidate is good."""
    from evolver.report.board import find
    from evolver.report.finals import name_of
    from evolver.report.gather import gather
    from evolver.report.safe import printable
    from evolver.report.whom import calibration, diagnosis, notes

    data = gather(opened)
    entry = find(data, wanted)
    told = diagnosis(opened, data, entry.number)
    more = notes(opened, data, entry.number)
    if as_json:
        kept = {"number": entry.number, "id": entry.candidate.id, "notes": more}
        kept |= {"diagnosis": None if told is None else told.as_data()}
        print(json.dumps(kept, indent=2))  # noqa: T201
        return
    console = Console(highlight=False)
    console.print(Text(printable(name_of(data, entry.number)), "bold"))
    if told is None:
        console.print(Text("It has no score; evolver review --show says why."))
    else:
        console.print(Text(str(told)), soft_wrap=True)
        console.print(Text(calibration(entry), "dim"))
    for line in more:
        console.print(Text(printable(line)))
