"""The `evolver` command: one sub-command a file, faults printed as one line."""

from __future__ import annotations

import sys

import typer

from evolver import __version__
from evolver.cli import (
    agent,
    ask,
    compare,
    data,
    doctor,
    evolve,
    export,
    interchange,
    pipeline,
    policy,
    promote,
    record,
    refit,
    report,
    review,
    space,
    status,
    tables,
    ui,
)
from evolver.cli import mcp as mcp_command
from evolver.errors import EvolverError

app = typer.Typer(
    name="evolver",
    help="Evolve a recommender that beats your tuned baseline, provably, within a budget.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(evolve.evolve)
app.command()(evolve.resume)
app.command()(compare.compare)
app.command()(status.status)
app.command()(promote.promote)
app.command()(export.export)
app.command()(refit.refit)
app.command()(report.report)
app.command()(review.review)
app.command()(ui.ui)
app.command(name="export-table")(tables.export_table)
app.command(name="export-mlflow")(interchange.export_mlflow)
app.command(name="export-optuna")(interchange.export_optuna)
app.command(name="export-recbole")(interchange.export_recbole)
app.command()(record.record)
app.command()(ask.ask)
app.command()(ask.tell)
app.command()(mcp_command.mcp)
app.command()(doctor.doctor)
app.add_typer(data.app, name="data")
app.add_typer(space.app)
app.add_typer(policy.app)
app.add_typer(agent.app)
app.add_typer(pipeline.app)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"evolver {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version and stop."
    ),
) -> None:
    pass


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 failed, 2 bad usage or data, 130 interrupted."""
    try:
        app()
    except EvolverError as error:
        print(f"evolver: {error}", file=sys.stderr)  # noqa: T201
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        print("evolver: interrupted", file=sys.stderr)  # noqa: T201
        raise SystemExit(130) from None
