"""`evolver refit`: an exported package's candidate, trained again on new data."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from evolver.cli import options
from evolver.cli.settings import column_kinds
from evolver.config import DataConfig, ExecuteConfig, RunConfig, SplitConfig

if TYPE_CHECKING:
    from evolver.export.exported import Exported
    from evolver.export.training import Refit

_MACHINE = "Machine"


def refit(
    *,
    package: Annotated[
        Path, typer.Argument(metavar="PACKAGE", help="The folder that `evolver export` wrote.")
    ],
    data: options.DataPath = "",
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The folder to write; default PACKAGE-refit beside it."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier export in that folder.")
    ] = False,
    user: options.UserColumn = None,
    item: options.ItemColumn = None,
    time_: options.TimeColumn = None,
    value: options.ValueColumn = None,
    min_value: options.MinValue = None,
    label: options.LabelColumn = None,
    column: options.ColumnKinds = None,
    data_format: options.Format = "auto",
    split: options.SplitKindOption = "auto",
    metric: Annotated[
        str | None,
        typer.Option(help="What to judge by; default ndcg@10, for a ranking package auc."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides every random choice.")] = 0,
    candidate_time: Annotated[
        float, typer.Option(help="Seconds for each training.", min=1)
    ] = 600.0,
    memory: Annotated[
        float, typer.Option(help="GiB of memory.", min=0.5, rich_help_panel=_MACHINE)
    ] = 4.0,
    threads: Annotated[
        int, typer.Option(help="0: all cores.", min=0, rich_help_panel=_MACHINE)
    ] = 0,
    sandbox: Annotated[
        str,
        typer.Option(help="auto, bubblewrap, docker or unconfined.", rich_help_panel=_MACHINE),
    ] = "auto",
    device: Annotated[
        str, typer.Option(help="auto, cpu or cuda:0.", rich_help_panel=_MACHINE)
    ] = "auto",
    as_json: options.Json = False,
) -> None:
    """Train the same program on new data: judged on its newest part first, then on all of it.

    All trainings run in the sandbox. The new package's card holds the new figures beside plain
    popularity, or for a ranking package beside logistic regression; the program and its settings
    stay as they were chosen. A ranking package keeps its label and its columns.
    """
    from evolver.errors import UsageError
    from evolver.execute.choose import device_of, limits_of, open_sandbox
    from evolver.export.contents import CANDIDATE
    from evolver.export.exported import read_package
    from evolver.export.names import check_destination

    found = read_package(package)
    if found.task == "pipeline":
        raise UsageError(
            f"{package} holds a pipeline, which is not refitted; evolve it on the new data: its "
            f"document is the source in {found.name}/data/{CANDIDATE}"
        )
    target = out or package.resolve().with_name(f"{package.resolve().name}-refit")
    check_destination(target, overwrite=overwrite)
    given = DataConfig(
        path=data,
        format=data_format,
        user=user,
        item=item,
        time=time_,
        value=value,
        min_value=min_value,
        label=label,
        columns=column_kinds(column or []) or {},
    )
    execute = ExecuteConfig.model_validate(
        {
            "sandbox": sandbox,
            "seconds": candidate_time,
            "memory_gib": memory,
            "device": device,
            "workers": 1,
        }
    )
    judged_by = {} if metric is None else {"metric": metric}
    work = _prepared(found, given)
    cores = threads or len(os.sched_getaffinity(0))
    box = open_sandbox(execute, warm_view=None, workers=1, threads=cores)
    try:
        result = work(
            target,
            sandbox=box,
            limits=limits_of(execute, cores),
            split=SplitConfig(kind=split),
            metrics=RunConfig.model_validate({"task": found.task, "evaluate": judged_by}).evaluate,
            created=time.strftime("%Y-%m-%d"),
            seed=seed,
            device=device_of(execute),
            overwrite=overwrite,
        )
    finally:
        box.close()
    _show(found, result, as_json=as_json)


def _prepared(package: Exported, given: DataConfig) -> Callable[..., Refit]:
    """The data as the package's task reads it, and what refits the package on it."""
    if package.task == "ranking":
        from evolver.export.refit_table import load_like, refit_table

        return partial(refit_table, package, load_like(package, given))
    from evolver.data.formats import load
    from evolver.export.refit import refit as refit_lists

    return partial(refit_lists, package, load(given))


def _show(package: Exported, result: Refit, *, as_json: bool) -> None:
    comparison = result.comparison
    module, rival, gain = comparison.module[0], comparison.rival[0], comparison.difference[0]
    if as_json:
        said = {
            "package": str(result.folder),
            "metrics": dict(result.scored.metrics),
            "rival": result.rival,
            "gain": {"value": gain.value, "low": gain.low, "high": gain.high},
            "beats_rival": result.beats_rival,
        }
        print(json.dumps(said, indent=2))  # noqa: T201
        return
    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print(
        f"newest part: {module.metric} {module.value:.4f} over {comparison.users:,} "
        f"{result.units}, {result.rival} {rival.value:.4f}, "
        f"gain {gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]"
    )
    if not result.beats_rival:
        console.print(f"It is not shown to beat plain {result.rival} on this data: evolve again.")
    console.print(f"wrote {result.folder}")
    console.print(f"Next: pip install {result.folder} && python -m {package.name} check")
