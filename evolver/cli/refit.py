"""`evolver refit`: an exported package's candidate, trained again on new data."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from evolver.cli import options
from evolver.config import DataConfig, EvaluateConfig, ExecuteConfig, SplitConfig

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
    data_format: options.Format = "auto",
    split: options.SplitKindOption = "auto",
    metric: Annotated[str, typer.Option(help="What to judge by, such as ndcg@10.")] = "ndcg@10",
    seed: Annotated[int, typer.Option(help="Decides every random choice.")] = 0,
    candidate_time: Annotated[
        float, typer.Option(help="Seconds for each of the two trainings.", min=1)
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

    Both trainings run in the sandbox. The new package's card holds the new figures beside plain
    popularity; the program and its settings stay as they were chosen.
    """
    from evolver.data.formats import load
    from evolver.execute.choose import device_of, limits_of, open_sandbox
    from evolver.export import refit as work
    from evolver.export.names import check_destination

    found = work.read_package(package)
    target = out or package.resolve().with_name(f"{package.resolve().name}-refit")
    check_destination(target, overwrite=overwrite)
    dataset = load(
        DataConfig(
            path=data,
            format=data_format,
            user=user,
            item=item,
            time=time_,
            value=value,
            min_value=min_value,
        )
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
    cores = threads or len(os.sched_getaffinity(0))
    box = open_sandbox(execute, warm_view=None, workers=1, threads=cores)
    try:
        result = work.refit(
            found,
            dataset,
            target,
            sandbox=box,
            limits=limits_of(execute, cores),
            split=SplitConfig(kind=split),
            metrics=EvaluateConfig(metric=metric),
            created=time.strftime("%Y-%m-%d"),
            seed=seed,
            device=device_of(execute),
            overwrite=overwrite,
        )
    finally:
        box.close()
    gain = result.comparison.difference[0]
    if as_json:
        said = {
            "package": str(result.folder),
            "metrics": dict(result.scored.metrics),
            "gain_over_popularity": {"value": gain.value, "low": gain.low, "high": gain.high},
            "beats_popularity": result.beats_popularity,
        }
        print(json.dumps(said, indent=2))  # noqa: T201
        return
    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print(
        f"newest part: {metric} {result.scored.metrics[metric]:.4f} over "
        f"{result.comparison.users:,} users, popularity {result.comparison.rival[0].value:.4f}, "
        f"gain {gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]"
    )
    if not result.beats_popularity:
        console.print("It is not shown to beat plain popularity on this data: evolve again.")
    console.print(f"wrote {result.folder}")
    console.print(f"Next: pip install {result.folder} && python -m {found.name} check")
