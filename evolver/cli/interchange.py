"""A run for other tools: MLflow, Optuna and its dashboard, RecBole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evolver.errors import UsageError

RunPlace = Annotated[
    Path | None, typer.Argument(metavar="[RUN]", help="The run's folder; default the latest.")
]
Name = Annotated[
    str | None, typer.Option(help="What the run is called there; default its folder's name.")
]


def export_mlflow(
    place: RunPlace = None,
    uri: Annotated[
        str,
        typer.Option(
            "--uri",
            "-o",
            help="A tracking server, or a file such as sqlite:///mlflow.db.",
        ),
    ] = "sqlite:///mlflow.db",
    experiment: Annotated[str, typer.Option(help="The experiment; made if need be.")] = "evolver",
    name: Name = None,
) -> None:
    """Log a run to MLflow: one MLflow run, and one under it for each candidate, with parameters,
    metrics, costs, parents and source. Needs: pip install 'evolver[mlflow]'.

    Safe to repeat, and while the search goes on: what is there already is not logged again.
    """
    from evolver import run
    from evolver.config import tell_library

    tell_library("MLFLOW_DISABLE_TELEMETRY", "true")
    try:
        from evolver.export.mlflow_runs import log_runs
    except ModuleNotFoundError as error:
        raise _missing(error, "mlflow") from error
    opened = run.reopen(place or run.latest())
    added, there = log_runs(
        opened.archive.history(),
        opened.metric,
        uri=uri,
        experiment=experiment,
        name=name or opened.folder.name,
        settings=opened.settled.model_dump(mode="json"),
    )
    typer.echo(f"logged {added} candidates, {there} are there: experiment {experiment} at {uri}")


def export_optuna(
    place: RunPlace = None,
    storage: Annotated[
        str,
        typer.Option("--storage", "-o", help="A database as Optuna takes it."),
    ] = "sqlite:///optuna.db",
    name: Name = None,
) -> None:
    """Write a run as an Optuna study, which optuna-dashboard shows: a trial for each candidate.

    Tunables are the trial's parameters, named after their family of models. Safe to repeat, and
    while the search goes on: only trials that are missing are added.
    """
    from evolver import run
    from evolver.export.optuna_study import write_study

    opened = run.reopen(place or run.latest())
    study = name or opened.folder.name
    added, there = write_study(storage, study, opened.archive.history(), opened.metric)
    typer.echo(f"added {added} trials, {there} are there: study {study} at {storage}")
    typer.echo(f"Next: pip install optuna-dashboard && optuna-dashboard {storage}", err=True)


def export_recbole(
    place: RunPlace = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write.")] = Path(
        "recbole"
    ),
    name: Annotated[
        str | None, typer.Option(help="What the files are called; default the folder's name.")
    ] = None,
    with_test: Annotated[
        bool,
        typer.Option(
            "--with-test",
            help="The test part, too, once it is no longer sealed; recorded as a reading of it.",
        ),
    ] = False,
) -> None:
    """Write a run's data, in its own split, as RecBole atomic files, to compare with its models.

    NAME.train.inter and NAME.valid.inter (what candidates are searched and promoted on), .user and
    .item with features. RecBole reads them with `benchmark_filename: [train, valid, valid]`, or
    [train, valid, test] with --with-test.
    """
    from evolver import run, sealed
    from evolver.export.recbole import write_recbole

    opened = run.reopen(place or run.latest())
    title = name or out.resolve().name
    if with_test:
        sealed.hand_out_test(opened, why="written as RecBole files")
    files = write_recbole(out, title, opened.dataset, opened.split, sealed=not with_test)
    for file in files:
        typer.echo(f"wrote {file}")
    last = "test" if with_test else "valid"
    typer.echo(
        f"Next: run_recbole with data_path: {out.resolve().parent}, dataset: {title}, "
        f"benchmark_filename: [train, valid, {last}]",
        err=True,
    )


def _missing(error: ModuleNotFoundError, extra: str) -> UsageError:
    return UsageError(f"{error.name} is not installed: pip install 'evolver[{extra}]'")
