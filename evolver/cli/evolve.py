"""`evolver evolve` and `evolver resume`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from evolver.cli import options
from evolver.cli.settings import (
    as_text,
    column_and_limit,
    column_kinds,
    from_file,
    lay,
    lay_pipeline,
    resolve,
    seconds_of,
    unless_auto,
)
from evolver.errors import EvolverError

SAMPLE_BUDGET = {"candidates": 24, "seconds": 45.0}
"""For the bundled sample, where nothing else was asked for: a first look in under a minute."""


def evolve(
    data: options.DataPath = "",
    task: options.TaskOption = None,
    metric: options.Metric = None,
    candidates: Annotated[
        int | None,
        typer.Option(
            help="How many to try, trials of baselines included.", rich_help_panel=options.BUDGET
        ),
    ] = None,
    time: Annotated[
        list[str] | None,
        typer.Option(
            help="A duration (90s, 10m, 1h30m) limits the run; any other word names the "
            "column that holds the times. May be given twice, once for each.",
            rich_help_panel=options.BUDGET,
        ),
    ] = None,
    usd: Annotated[
        float | None, typer.Option(help="Dollars for the LLM.", rich_help_panel=options.BUDGET)
    ] = None,
    tokens: Annotated[
        int | None, typer.Option(help="Tokens for the LLM.", rich_help_panel=options.BUDGET)
    ] = None,
    user: options.UserColumn = None,
    item: options.ItemColumn = None,
    value: options.ValueColumn = None,
    min_value: options.MinValue = None,
    label: options.LabelColumn = None,
    column: options.ColumnKinds = None,
    data_format: options.Format = "auto",
    split: options.SplitKindOption = "auto",
    repeats: options.KeepsRepeats = None,
    accept_alarm: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Go on although this leak canary gave alarm; every report shows it.",
            rich_help_panel=options.DATA,
        ),
    ] = None,
    proposer: Annotated[
        str | None,
        typer.Option(
            help="auto (rl, with --model hybrid), llm, mailbox (answers as files), replay, or a "
            "typed search: rl, tpe, cmaes, evolution, gp, nsga2, ppo, random.",
            rich_help_panel=options.WHO,
        ),
    ] = None,
    model: options.Models = None,
    api_base: options.ApiBase = None,
    space: options.Spaces = None,
    author: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help='Who answers --proposer mailbox, for the record, such as "coding agent".',
            rich_help_panel=options.WHO,
        ),
    ] = None,
    reviewer: Annotated[
        str | None,
        typer.Option(
            help="An LLM that looks at each written candidate before it is trained; it advises.",
            rich_help_panel=options.WHO,
        ),
    ] = None,
    selector: Annotated[
        str | None,
        typer.Option(
            help="Which entries become parents: islands, map-elites, pareto, tournament, "
            "power-law.",
            rich_help_panel=options.WHO,
        ),
    ] = None,
    trade: Annotated[
        list[str] | None,
        typer.Option(
            help="What --proposer nsga2 keeps low beside the metric: latency or parameters; may "
            "be repeated.",
            rich_help_panel=options.WHO,
        ),
    ] = None,
    pipeline: Annotated[
        Path | None,
        typer.Option(
            help="A pipeline as a YAML file: with --task pipeline the one to start from, with "
            "--task reranking the one whose lists are re-ranked.",
            rich_help_panel=options.WHO,
        ),
    ] = None,
    prompts: Annotated[
        Path | None,
        typer.Option(help="A folder of templates that replace ours.", rich_help_panel=options.WHO),
    ] = None,
    reveal_names: Annotated[
        bool | None,
        typer.Option(
            "--reveal-names",
            help="Let the LLM see the names of data sets and features.",
            rich_help_panel=options.WHO,
        ),
    ] = None,
    replay: Annotated[
        Path | None,
        typer.Option(help="Repeat what this run proposed.", rich_help_panel=options.WHO),
    ] = None,
    experience: Annotated[
        list[str] | None,
        typer.Option(
            help="An earlier run, or a folder of runs, that --proposer rl or ppo learns from "
            "first; may be repeated.",
            rich_help_panel=options.WHO,
        ),
    ] = None,
    no_wait: Annotated[
        bool,
        typer.Option(
            "--no-wait",
            help="With the mailbox: stop where only answers are missing; see `evolver ask`.",
            rich_help_panel=options.WHO,
        ),
    ] = False,
    seed: Annotated[int | None, typer.Option(help="Decides every random choice.")] = None,
    fidelity: Annotated[
        Literal["auto", "full", "halving"],
        typer.Option(
            metavar="KIND",
            help="full: every candidate gets a whole training; halving: on less data first, and "
            "the best third goes on; auto: halving where the data is large.",
            rich_help_panel=options.BUDGET,
        ),
    ] = "auto",
    sandbox: options.SandboxKind = None,
    workers: options.Workers = None,
    threads: options.Threads = None,
    candidate_time: options.CandidateTime = None,
    memory: Annotated[
        float | None,
        typer.Option(help="GiB of memory for one candidate.", rich_help_panel=options.MACHINE),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(help="auto, cpu, cuda (any GPU) or cuda:0.", rich_help_panel=options.MACHINE),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="A YAML or JSON file of settings; flags beat it."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The run's folder; default runs/DATE-ID.")
    ] = None,
    as_json_: options.Json = False,
) -> None:
    """Evolve a recommender for DATA: tune the baselines, then search for something better.

    Half of the candidates are baselines: popularity, item-kNN, EASE, iALS, BPR-MF, LightGCN, a
    graph filter and SASRec once at their defaults, then trials that tune the best three. The others
    search, and the best of what they find is then tuned as often as those three were. Candidates
    train in a sandbox that holds no label; what they rank is judged outside it.

    --task ranking: DATA is a table of labelled rows, from logs of what was shown and clicked, and a
    candidate says how likely each row's label is 1. Baselines are then logistic regression, FM, a
    two-tower network, DeepFM and DCN V2, the metric is AUC.

    --task reranking: a candidate puts lists of items into another order, judged by an outer reward
    over relevance, diversity, novelty and coverage. The lists are those of one pipeline for the
    whole run, --pipeline or the default one. Baselines are identity, MMR, xQuAD, a DPP and listwise
    attention.

    --task pipeline: a candidate is a whole pipeline of recall agents, a merge, ranking and
    re-ranking, judged by an outer reward. Half of the candidates tune single retrievers, half
    refine agents and recompose the graph by turns, from --pipeline or from popularity and iALS
    recall with logistic ranking. A tuner changes values and the graph; with --model or --proposer
    mailbox programs are rewritten too.

    Without DATA and without a budget: a first look at the bundled sample in under a minute.
    """
    time_column, limit = column_and_limit(time or [])
    settings = from_file(config)
    lay(settings, "data", path=data or None, format=unless_auto(data_format), user=user, item=item)
    lay(settings, "data", time=time_column, value=value, min_value=min_value)
    lay(settings, "data", label=label, columns=column_kinds(column or []))
    lay(settings, "split", kind=unless_auto(split), repeats=repeats)
    lay(settings, "budget", candidates=candidates, seconds=limit, usd=usd, tokens=tokens)
    lay(settings, "evaluate", metric=metric, accept_alarms=accept_alarm)
    lay(settings, "execute", sandbox=sandbox, workers=workers, threads=threads, device=device)
    lay(settings, "execute", memory_gib=memory, seconds=seconds_of(candidate_time))
    lay(settings, "propose", proposer=proposer, models=model, api_base=api_base, spaces=space)
    lay(settings, "propose", prompts=as_text(prompts), reveal_names=reveal_names, author=author)
    lay(settings, "propose", replay=as_text(replay), reviewer=reviewer)
    lay(settings, "propose", experience=experience, trade=trade)
    lay(settings, "select", selector=selector)
    lay(settings, "cascade", fidelity=unless_auto(fidelity))
    if seed is not None:
        settings["seed"] = seed
    if task is not None:
        settings["task"] = task
    lay_pipeline(settings, pipeline)
    if not settings.get("data", {}).get("path"):
        settings.setdefault("budget", SAMPLE_BUDGET)
    resolved = resolve(settings)
    from evolver import run
    from evolver.cli.sitting import sit

    opened = run.create(resolved, out)
    try:
        sit(opened, json_wanted=as_json_, wait=not no_wait)
    except EvolverError:
        if opened.archive.candidate(0) is None:  # it never began: leave nothing behind
            opened.discard()
        raise


def resume(
    place: Annotated[
        Path | None, typer.Argument(metavar="[RUN]", help="The run's folder; default the latest.")
    ] = None,
    candidates: Annotated[
        int | None, typer.Option(help="A new, larger number of candidates.")
    ] = None,
    time: Annotated[
        str | None, typer.Option(help="A new time limit for the whole run, such as 20m.")
    ] = None,
    usd: Annotated[float | None, typer.Option(help="A new limit in dollars.")] = None,
    tokens: Annotated[int | None, typer.Option(help="A new limit in tokens.")] = None,
    as_json_: options.Json = False,
) -> None:
    """Go on with a run that was stopped, killed, or that ran out of its budget.

    What is recorded is kept; what was proposed but not judged is run again as it was. A new limit
    replaces the old one and counts from the run's beginning.
    """
    from evolver import run
    from evolver.cli.sitting import sit

    opened = run.reopen(place or run.latest())
    changes = {"candidates": candidates, "seconds": seconds_of(time), "usd": usd, "tokens": tokens}
    settings = opened.config.model_dump()
    lay(settings, "budget", **changes)
    opened.config = resolve(settings)
    sit(opened, json_wanted=as_json_)
