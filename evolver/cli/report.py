"""`evolver report`: a run as one page to read, send or attach."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from evolver.cli.options import Json
from evolver.errors import UsageError


def report(
    place: Annotated[
        Path | None, typer.Argument(metavar="[RUN]", help="The run's folder; default the latest.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="The file to write: .html, or .md for a pull request. Default RUN/report.html.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write one self-contained page: verdict, evidence, progress, winner, failures, cost.

    Opens offline and runs no script. Safe to call while the run is going on; reads no sealed part.
    """
    from evolver import run
    from evolver.report.gather import gather
    from evolver.report.html import write_report
    from evolver.report.markdown import markdown
    from evolver.report.verdict import verdict

    if out is not None and out.suffix.lower() not in {".html", ".htm", ".md"}:
        raise UsageError(f"{out}: a report ends in .html, or in .md for Markdown")
    if out is not None and out.is_dir():
        raise UsageError(f"{out} is a folder; name a file in it, such as {out / 'report.html'}")
    opened = run.reopen(place or run.latest())
    data = gather(opened)
    target = out or opened.folder / "report.html"
    if target.suffix.lower() == ".md":
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(markdown(data), encoding="utf-8")
    else:
        write_report(target, data)
    judged = verdict(data)
    if as_json:
        said = {
            "report": str(target),
            "headline": judged.headline,
            "detail": list(judged.detail),
            "tone": judged.tone,
        }
        print(json.dumps(said, indent=2))  # noqa: T201
    else:
        console = Console(highlight=False, soft_wrap=True, markup=False)
        console.print(judged.headline)
        console.print(f"wrote {target}")
