"""`evolver review`: look at candidates, judge them, and steer the search with that."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evolver.cli.options import Json
from evolver.errors import UsageError

if TYPE_CHECKING:
    from evolver.archive.reviews import Action

_Which = list[str] | None
_JUDGE = "Judge (by number or id; repeat for several)"
_LIST = "List"


def review(
    place: Annotated[
        Path | None, typer.Argument(metavar="[RUN]", help="The run's folder; default the latest.")
    ] = None,
    show: Annotated[str | None, typer.Option(help="Show one candidate and stop.")] = None,
    compare: Annotated[
        tuple[str, str] | None, typer.Option(metavar="A B", help="Put two side by side.")
    ] = None,
    approve: Annotated[
        _Which, typer.Option(help="A parent now and then, an example.", rich_help_panel=_JUDGE)
    ] = None,
    reject: Annotated[
        _Which,
        typer.Option(help="No parent, no example, not tuned.", rich_help_panel=_JUDGE),
    ] = None,
    pin: Annotated[_Which, typer.Option(help="A preferred parent.", rich_help_panel=_JUDGE)] = None,
    ban: Annotated[_Which, typer.Option(help="The same, for good.", rich_help_panel=_JUDGE)] = None,
    clear: Annotated[_Which, typer.Option(help="Take back.", rich_help_panel=_JUDGE)] = None,
    because: Annotated[
        str,
        typer.Option(
            help="The reason of these verdicts, for the next proposers.", rich_help_panel=_JUDGE
        ),
    ] = "",
    comment: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="N TEXT", help="Words for the next proposers.", rich_help_panel=_JUDGE
        ),
    ] = None,
    sort: Annotated[
        str,
        typer.Option(
            help="score, number, fit, latency, parameters, or any metric, such as recall@20.",
            rich_help_panel=_LIST,
        ),
    ] = "score",
    family: Annotated[
        str, typer.Option(help="Only families with this text.", rich_help_panel=_LIST)
    ] = "",
    proposer: Annotated[
        str, typer.Option(help="Only proposers with this text.", rich_help_panel=_LIST)
    ] = "",
    state: Annotated[
        str,
        typer.Option(
            help="scored, failed or stopped (with the reasons), or all.", rich_help_panel=_LIST
        ),
    ] = "scored",
    reviewed: Annotated[
        bool, typer.Option("--reviewed", help="Only what was reviewed.", rich_help_panel=_LIST)
    ] = False,
    limit: Annotated[int, typer.Option(help="Rows.", min=1, rich_help_panel=_LIST)] = 20,
    as_json: Json = False,
) -> None:
    """Look at candidates and judge them; at a terminal, with single-letter commands.

    Verdicts and comments reach the selector and the next prompts, of a running search too.
    """
    from evolver import run
    from evolver.cli.desk import Desk
    from evolver.report.board import Board

    opened = run.reopen(place or run.latest())
    board = Board(sort=sort, family=family, proposer=proposer, state=state, reviewed=reviewed)
    desk = Desk(opened, board, limit)
    wanted: list[tuple[Action, str, str]] = [
        *(("approve", n, because) for n in approve or ()),
        *(("reject", n, because) for n in reject or ()),
        *(("pin", n, because) for n in pin or ()),
        *(("ban", n, because) for n in ban or ()),
        *(("clear", n, "") for n in clear or ()),
    ]
    if comment is not None:
        wanted.append(("comment", *comment))
    if because and not any(text == because for _, _, text in wanted):
        raise UsageError("--because goes with --approve, --reject, --pin or --ban")
    desk.judge_all(wanted)
    if as_json:
        print(json.dumps(desk.as_json(show, compare), indent=2))  # noqa: T201
    elif show is not None:
        desk.show(show)
    elif compare is not None:
        desk.compare(*compare)
    else:
        if not wanted or sys.stdin.isatty():
            desk.leaders()
        if not wanted and sys.stdin.isatty() and sys.stdout.isatty():
            desk.talk()
