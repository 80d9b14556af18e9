"""`evolver compare`: several ways to search, at equal budget, over several seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from evolver.cli import options
from evolver.cli.settings import (
    column_and_limit,
    column_kinds,
    from_file,
    lay,
    resolve,
    seconds_of,
    unless_auto,
)

DEFAULT_CANDIDATES = 20
_WHAT = "What is compared"
_BUDGET = "Budget of each run"


def compare(
    data: options.DataPath = "",
    arms: Annotated[
        str | None,
        typer.Option(
            help="Separated by commas: any typed search (random, tpe, cmaes, evolution, ...), "
            "baseline (the baselines tuned on), llm, hybrid, llm:no-archive (best of n drafts), "
            "llm:-lessons-diagnostics-directions-crossover (any of these left out), "
            "replay=RECORD. Default random,tpe; with --model also llm:no-archive,llm,hybrid.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            help="How many searches of each arm; default the fewest that can show a difference.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            help="The arm that the others are compared with; default random. "
            "all: each with each, which takes more seeds.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    judge_promotion: Annotated[
        bool,
        typer.Option(
            "--judge-promotion",
            help="Train each run's winner once more and read the promotion part, once for each.",
            rich_help_panel=_WHAT,
        ),
    ] = False,
    task: Annotated[
        Literal["retrieval", "ranking", "reranking"] | None,
        typer.Option(
            help="retrieval: lists of items for users (the default); ranking: probabilities, from "
            "labelled rows; reranking: another order of lists.",
            rich_help_panel=options.DATA,
        ),
    ] = None,
    metric: options.Metric = None,
    candidates: Annotated[
        int | None,
        typer.Option(
            help="How many trainings, the shared baselines included; default 20.",
            rich_help_panel=_BUDGET,
        ),
    ] = None,
    time: Annotated[
        list[str] | None,
        typer.Option(
            help="A duration (5m) limits each search; any other word names the column that holds "
            "the times. May be given twice, once for each.",
            rich_help_panel=_BUDGET,
        ),
    ] = None,
    usd: Annotated[
        float | None, typer.Option(help="Dollars for the LLM.", rich_help_panel=_BUDGET)
    ] = None,
    tokens: Annotated[
        int | None, typer.Option(help="Tokens for the LLM.", rich_help_panel=_BUDGET)
    ] = None,
    user: options.UserColumn = None,
    item: options.ItemColumn = None,
    value: options.ValueColumn = None,
    min_value: options.MinValue = None,
    label: options.LabelColumn = None,
    columns: options.ColumnKinds = None,
    data_format: options.Format = "auto",
    split: options.SplitKindOption = "auto",
    repeats: options.KeepsRepeats = None,
    accept_alarm: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Go on although this leak canary gave alarm.",
            rich_help_panel=options.DATA,
        ),
    ] = None,
    model: options.Models = None,
    api_base: options.ApiBase = None,
    space: options.Spaces = None,
    seed: Annotated[int | None, typer.Option(help="The first seed; default 0.")] = None,
    sandbox: options.SandboxKind = None,
    workers: options.Workers = None,
    threads: options.Threads = None,
    candidate_time: options.CandidateTime = None,
    device: Annotated[
        str | None, typer.Option(help="auto, cpu or cuda:0.", rich_help_panel=options.MACHINE)
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="A YAML or JSON file of settings, as for evolve; flags beat it."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The folder; default runs/compare-DATE-ID."),
    ] = None,
    as_json_: options.Json = False,
) -> None:
    """Compare ways to search: the same data, budget, limits and seeds for all.

    For each seed the baselines are tuned once; every arm goes on from there with the same number
    of candidates, in turns. The result is a table, compare.html and compare.md in the folder: the
    best so far with intervals over seeds, differences paired by seed, exact tests with
    correction, and sentences that say what may be claimed and what not.

    Killed or stopped? `evolver compare -o FOLDER` goes on. Naming more arms or seeds adds them.
    """
    from evolver.cli import comparing

    place = comparing.place(out)
    known = comparing.known(place)
    column, limit = column_and_limit(time or [])
    settings = from_file(config)
    if known is not None and config is None:
        settings = known.config.model_dump(mode="json")
    lay(settings, "data", path=data or None, format=unless_auto(data_format), user=user, item=item)
    lay(settings, "data", time=column, value=value, min_value=min_value)
    lay(settings, "data", label=label, columns=column_kinds(columns or []))
    lay(settings, "split", kind=unless_auto(split), repeats=repeats)
    lay(settings, "budget", candidates=candidates, seconds=limit, usd=usd, tokens=tokens)
    lay(settings, "evaluate", metric=metric, accept_alarms=accept_alarm)
    lay(settings, "execute", sandbox=sandbox, workers=workers, threads=threads, device=device)
    lay(settings, "execute", seconds=seconds_of(candidate_time))
    lay(settings, "propose", models=model, api_base=api_base, spaces=space)
    if seed is not None:
        settings["seed"] = seed
    if task is not None:
        settings["task"] = task
    settings.setdefault("budget", {}).setdefault("candidates", DEFAULT_CANDIDATES)
    wanted = comparing.Wanted(
        place=place,
        config=resolve(settings),
        arms=None if arms is None else arms.split(","),
        seeds=seeds,
        reference=reference,
        judge_promotion=judge_promotion,
        json=as_json_,
    )
    comparing.carry_out(wanted, known)
