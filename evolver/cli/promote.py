"""`evolver promote`: may the best challenger replace the incumbent? The gate, then the test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from evolver.cli.options import Json, RereadTest
from evolver.errors import UsageError


def promote(
    place: Annotated[
        Path | None, typer.Argument(metavar="[RUN]", help="The run's folder; default the latest.")
    ] = None,
    candidate: Annotated[
        str | None,
        typer.Option(help="A candidate's number or id; default the best that were not judged yet."),
    ] = None,
    accept: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A guardrail that may break, such as popularity-share or latency; the verdict "
            "says so. With --candidate.",
        ),
    ] = None,
    reread_test: RereadTest = False,
    as_json_: Json = False,
) -> None:
    """Judge challengers on the promotion part; read the sealed test for the one that is promoted.

    `evolver evolve` does this at its end for the best few. Both sides are trained again with
    several seeds; the gate asks for a gain beyond luck and beyond the noise floor, at no other
    cost. What was judged already is shown again and not measured again. Exit code 0 when the
    challenger is promoted, 1 when it is not.
    """
    from evolver import run
    from evolver.archive.lock import exclusive
    from evolver.cli.exporting import choose
    from evolver.finals import Finals
    from evolver.report.finals import finals_lines
    from evolver.report.gather import gather
    from evolver.report.safe import printable
    from evolver.report.terminal import contest_table
    from evolver.report.verdict import shrinkage_line
    from evolver.summary import finals_json, summarise

    if accept and candidate is None:
        raise UsageError("--accept takes a price upon itself for one candidate: give --candidate")
    opened = run.reopen(place or run.latest())
    if accept:
        judging = opened.config.promote.model_copy(update={"accept": tuple(accept)})
        opened.config = opened.config.model_copy(update={"promote": judging})
    said = Console(stderr=True)
    with exclusive(opened.folder):
        only = None if candidate is None else choose(summarise(opened), opened, candidate)
        finals = Finals(opened, say=lambda line: said.print(Text(printable(line)), soft_wrap=True))
        outcome = finals.go(only, reread_test=reread_test)
    standing = outcome.standing
    wanted = None if only is None else only.number
    promoted = any(each.promoted and wanted in (None, each.number) for each in standing.judged)
    if as_json_:
        found = finals_json(standing) | {"run": str(opened.folder), "promote": promoted}
        print(json.dumps(found, indent=2))  # noqa: T201
    else:
        data = gather(opened)
        console = Console(highlight=False)
        for line in (*finals_lines(data, wanted), *shrinkage_line(data)):
            console.print(Text(printable(line)))
        if data.contests:
            console.print(contest_table(data.contests, data.metric))
        step = (
            f"evolver export {opened.folder} -o my_recommender"
            if promoted
            else (f"evolver report {opened.folder}")
        )
        console.print(Text(f"Next: {step}", "bold"), soft_wrap=True)
    if not promoted:
        raise typer.Exit(1)
