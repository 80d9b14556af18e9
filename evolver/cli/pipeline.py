"""`evolver pipeline`: pipelines as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evolver.errors import UsageError

app = typer.Typer(name="pipeline", help="Pipelines of agents as YAML files.", no_args_is_help=True)

Out = Annotated[
    Path | None, typer.Option("--out", "-o", help="The file to write; default standard output.")
]


@app.command()
def default(out: Out = None) -> None:
    """Write the pipeline that a search starts from: popularity and iALS recall, logistic ranking,
    identity re-ranking, and the zoo's other quick models in its pool."""
    from evolver.agents.start import default_pipeline

    _write(default_pipeline().brief_text(), out)


@app.command()
def of(
    place: Annotated[
        Path | None, typer.Argument(metavar="[RUN]", help="The run's folder; default the latest.")
    ] = None,
    candidate: Annotated[
        int | None, typer.Option(help="By its number; default the best pipeline.")
    ] = None,
    out: Out = None,
) -> None:
    """Write a pipeline that a run tried, with its values; of a run of re-rankers one of them after
    the pipeline that made its lists."""
    from evolver import run
    from evolver.cli.agent import pipeline_entry, pipeline_run
    from evolver.cli.exporting import pair
    from evolver.credits import judged_pipeline
    from evolver.summary import summarise

    opened = run.reopen(place or run.latest())
    if opened.task.name == "reranking":
        wanted = None if candidate is None else str(candidate)
        entry, _ = pair(summarise(opened), opened, wanted)
    else:
        opened = pipeline_run(opened.folder)
        entry = pipeline_entry(opened, candidate)
    _write(judged_pipeline(opened, entry).brief_text(), out)


@app.command()
def check(file: Annotated[Path, typer.Argument(help="A pipeline as YAML.")]) -> None:
    """Check a pipeline: its graph, and the program of every agent against its contract."""
    from evolver.agents.document import read
    from evolver.agents.space import parameters

    found = read(file)
    typer.echo(f"{file}: {found.outline}")
    typer.echo(f"{len(found.agents)} agents, {len(parameters(found))} parameters to search")
    typer.echo(f"Next: evolver evolve DATA --task pipeline --pipeline {file}")


def _write(text: str, out: Path | None) -> None:
    if out is None:
        typer.echo(text, nl=False)
        return
    if out.exists():
        raise UsageError(f"{out} is there already; choose another file")
    out.write_text(text, encoding="utf-8")
    typer.echo(f"wrote {out}")
    typer.echo(f"Next: evolver evolve DATA --task pipeline --pipeline {out}")
