"""`evolver evolve` and `evolver resume`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
import yaml
from pydantic import ValidationError

from evolver.cli import options
from evolver.cli.words import is_duration, seconds
from evolver.config import RunConfig
from evolver.errors import ConfigError, EvolverError

SAMPLE_BUDGET = {"candidates": 24, "seconds": 45.0}
"""For the bundled sample, where nothing else was asked for: a first look in under a minute."""
_BUDGET = "Budget"
_DATA = "Data"
_WHO = "Who proposes"
_MACHINE = "Machine"


def evolve(
    data: options.DataPath = "",
    metric: Annotated[str | None, typer.Option(help="What to improve, such as ndcg@10.")] = None,
    candidates: Annotated[
        int | None,
        typer.Option(
            help="How many to try, trials of baselines included.", rich_help_panel=_BUDGET
        ),
    ] = None,
    time: Annotated[
        list[str] | None,
        typer.Option(
            help="A duration (90s, 10m, 1h30m) limits the run; any other word names the "
            "column that holds the times. May be given twice, once for each.",
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
    data_format: options.Format = "auto",
    split: options.SplitKindOption = "auto",
    repeats: Annotated[
        bool | None,
        typer.Option(
            "--repeats/--no-repeats",
            help="May an item that the user already had be recommended again?",
            rich_help_panel=_DATA,
        ),
    ] = None,
    accept_alarm: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Go on although this leak canary gave alarm; every report shows it.",
            rich_help_panel=_DATA,
        ),
    ] = None,
    proposer: Annotated[
        str | None,
        typer.Option(
            help="auto, hybrid, llm, mailbox (answers as files), replay, or a typed search: rl, "
            "tpe, cmaes, evolution, gp, nsga2, ppo, random.",
            rich_help_panel=_WHO,
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="An LLM as litellm names it, such as openai/gpt-5. May be repeated.",
            rich_help_panel=_WHO,
        ),
    ] = None,
    api_base: Annotated[
        str | None,
        typer.Option(help="Where the LLM is served, for local servers.", rich_help_panel=_WHO),
    ] = None,
    space: Annotated[
        list[str] | None,
        typer.Option(
            help="A search space by name or file, may be repeated; default all bundled ones.",
            rich_help_panel=_WHO,
        ),
    ] = None,
    reviewer: Annotated[
        str | None,
        typer.Option(
            help="An LLM that looks at each written candidate before it is trained; it advises.",
            rich_help_panel=_WHO,
        ),
    ] = None,
    selector: Annotated[
        str | None,
        typer.Option(
            help="Which entries become parents: islands, map-elites, pareto, tournament, "
            "power-law.",
            rich_help_panel=_WHO,
        ),
    ] = None,
    trade: Annotated[
        list[str] | None,
        typer.Option(
            help="What --proposer nsga2 keeps low beside the metric: latency or parameters; may "
            "be repeated.",
            rich_help_panel=_WHO,
        ),
    ] = None,
    prompts: Annotated[
        Path | None,
        typer.Option(help="A folder of templates that replace ours.", rich_help_panel=_WHO),
    ] = None,
    reveal_names: Annotated[
        bool | None,
        typer.Option(
            "--reveal-names",
            help="Let the LLM see the names of data sets and features.",
            rich_help_panel=_WHO,
        ),
    ] = None,
    replay: Annotated[
        Path | None,
        typer.Option(help="Repeat what this run proposed.", rich_help_panel=_WHO),
    ] = None,
    experience: Annotated[
        list[str] | None,
        typer.Option(
            help="An earlier run, or a folder of runs, that --proposer rl or ppo learns from "
            "first; may be repeated.",
            rich_help_panel=_WHO,
        ),
    ] = None,
    no_wait: Annotated[
        bool,
        typer.Option(
            "--no-wait",
            help="With the mailbox: stop where only answers are missing; see `evolver ask`.",
            rich_help_panel=_WHO,
        ),
    ] = False,
    seed: Annotated[int | None, typer.Option(help="Decides every random choice.")] = None,
    fidelity: Annotated[
        Literal["auto", "full", "halving"],
        typer.Option(
            metavar="KIND",
            help="full: every candidate gets a whole training; halving: on less data first, and "
            "the best third goes on; auto: halving where the data is large.",
            rich_help_panel=_BUDGET,
        ),
    ] = "auto",
    sandbox: Annotated[
        str | None,
        typer.Option(
            help="auto, bubblewrap, docker, or unconfined (no protection).",
            rich_help_panel=_MACHINE,
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Candidates side by side.", rich_help_panel=_MACHINE)
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="Threads of each candidate.", rich_help_panel=_MACHINE)
    ] = None,
    candidate_time: Annotated[
        str | None,
        typer.Option(
            help="Limit for one candidate, such as 2m; default from the size of the data.",
            rich_help_panel=_MACHINE,
        ),
    ] = None,
    memory: Annotated[
        float | None,
        typer.Option(help="GiB of memory for one candidate.", rich_help_panel=_MACHINE),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(help="auto, cpu, cuda (any GPU) or cuda:0.", rich_help_panel=_MACHINE),
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

    Half of the candidates tune the baselines (popularity, item-kNN, EASE, iALS, BPR-MF, LightGCN,
    a graph filter, SASRec), the others search, and the best of what they find is then tuned as
    often as the baselines were. Candidates train in a sandbox that holds no label; what they rank
    is judged outside it.

    Without DATA and without a budget: a first look at the bundled sample in under a minute.
    """
    column, limit = _time(time or [])
    settings = _from_file(config)
    _lay(settings, "data", path=data or None, format=_given(data_format), user=user, item=item)
    _lay(settings, "data", time=column, value=value, min_value=min_value)
    _lay(settings, "split", kind=_given(split), repeats=repeats)
    _lay(settings, "budget", candidates=candidates, seconds=limit, usd=usd, tokens=tokens)
    _lay(settings, "evaluate", metric=metric, accept_alarms=accept_alarm)
    _lay(settings, "execute", sandbox=sandbox, workers=workers, threads=threads, device=device)
    _lay(settings, "execute", memory_gib=memory, seconds=_seconds(candidate_time))
    _lay(settings, "propose", proposer=proposer, models=model, api_base=api_base, spaces=space)
    _lay(settings, "propose", prompts=_text(prompts), reveal_names=reveal_names)
    _lay(settings, "propose", replay=_text(replay), reviewer=reviewer)
    _lay(settings, "propose", experience=experience, trade=trade)
    _lay(settings, "select", selector=selector)
    _lay(settings, "cascade", fidelity=_given(fidelity))
    if seed is not None:
        settings["seed"] = seed
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
    changes = {"candidates": candidates, "seconds": _seconds(time), "usd": usd, "tokens": tokens}
    settings = opened.config.model_dump()
    _lay(settings, "budget", **changes)
    opened.config = resolve(settings)
    sit(opened, json_wanted=as_json_)


def resolve(settings: dict[str, Any]) -> RunConfig:
    """Settings as a checked configuration. Raises `ConfigError` in one line for each fault."""
    try:
        return RunConfig.model_validate(settings)
    except ValidationError as error:
        faults = [
            f"{'.'.join(map(str, e['loc']))}: {e['msg']}, not {e['input']!r}"[:300]
            for e in error.errors()
        ]
        raise ConfigError("; ".join(faults)) from None


def _from_file(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(found, dict):
        raise ConfigError(
            f"{path} must hold settings by name, such as 'budget: {{candidates: 30}}'"
        )
    return found


def _lay(settings: dict[str, Any], group: str, **given: Any) -> None:
    """Lay the flags that were given over one group of settings."""
    kept = {name: value for name, value in given.items() if value is not None and value != []}
    if kept:
        settings[group] = {**settings.get(group, {}), **kept}


def _time(given: list[str]) -> tuple[str | None, float | None]:
    durations = [text for text in given if is_duration(text)]
    columns = [text for text in given if not is_duration(text)]
    if len(durations) > 1 or len(columns) > 1:
        raise ConfigError(
            f"--time was given {', '.join(given)}: at most one duration such as 10m and one column"
        )
    return (columns[0] if columns else None), (seconds(durations[0]) if durations else None)


def _seconds(text: str | None) -> float | None:
    try:
        return None if text is None else seconds(text)
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _given(choice: str) -> str | None:
    """A flag whose default is "auto" lets a file's setting stand."""
    return None if choice == "auto" else choice


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
