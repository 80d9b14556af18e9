"""`evolver agent`: the agents of pipelines, their versions, and whether they are agents at all."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from evolver.cli import options
from evolver.config import runs_folder
from evolver.errors import UsageError
from evolver.text import printable

if TYPE_CHECKING:
    from evolver.agents.registry import Registry, Version
    from evolver.core import Entry
    from evolver.run import Run

app = typer.Typer(
    name="agent",
    help="The agents of pipelines: versions, incumbents, checks, promotion.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(metavar="AGENT", help="An agent's name, such as ials.")]
Place = Annotated[
    Path | None, typer.Option("--run", help="The run of pipelines; default the latest.")
]
Candidate = Annotated[
    int | None, typer.Option(help="A candidate of the run by its number; default the best.")
]


@app.command(name="list")
def list_(as_json_: options.Json = False) -> None:
    """List the agents, how many versions each has, and which one is the incumbent."""
    registry = _registry()
    rows = [
        {
            "agent": name,
            "stage": registry.incumbent(name).stage,
            "versions": len(registry.versions(name)),
            "incumbent": registry.incumbent(name).number,
            "origin": registry.incumbent(name).origin,
        }
        for name in registry.agents
    ]
    if as_json_:
        _print(rows)
    elif not rows:
        Console().print(
            f"No agent has been judged yet in {runs_folder()}.\n"
            "Next: evolver evolve DATA --task pipeline, then evolver agent promote AGENT"
        )
    else:
        _table(["agent", "stage", "versions", "incumbent", "origin"], rows)


@app.command()
def show(
    agent: Name,
    version: Annotated[int | None, typer.Option(help="Default: the incumbent.")] = None,
    as_json_: options.Json = False,
) -> None:
    """Show a version of an agent: where it is from, its values, its program."""
    registry = _registry()
    found = _version(registry, agent, version)
    if as_json_:
        _print({**asdict(found), "incumbent": registry.incumbent(agent).number == found.number})
        return
    console = Console()
    serves = registry.incumbent(agent).number == found.number
    state = "the incumbent" if serves else "not the incumbent"
    console.print(Text(f"{agent}, version {found.number}, {found.stage}: {state}", "bold"))
    console.print(Text(f"from {printable(found.origin)}"))
    for name, value in found.values.items():
        console.print(Text(f"  {name} = {value!r}"))
    console.print(Text(printable(found.source)), soft_wrap=True)


@app.command()
def history(agent: Name, as_json_: options.Json = False) -> None:
    """Show what happened to an agent: versions registered, promoted, refused, rolled back."""
    events = _registry().history(agent)
    if as_json_:
        _print([asdict(event) for event in events])
        return
    rows = [
        {
            "when": time.strftime("%Y-%m-%d %H:%M", time.localtime(event.created)),
            "version": event.version,
            "what": event.kind,
            "why": event.why,
        }
        for event in events
    ]
    _table(["when", "version", "what", "why"], rows)


@app.command()
def rollback(
    agent: Name,
    to: Annotated[
        int | None, typer.Option(help="The version; default the one that served before.")
    ] = None,
    why: Annotated[str, typer.Option(help="For the record.")] = "",
) -> None:
    """Bring an earlier version of an agent back. Nothing is lost: the record says so."""
    found = _registry().rollback(agent, to, why)
    Console().print(f"{agent}: version {found.number} is the incumbent again")


@app.command()
def check(
    agent: Name, run: Place = None, candidate: Candidate = None, as_json_: options.Json = False
) -> None:
    """Check by running code that a module is an agent: its loop closes, it can be scored alone, and
    its space changes what it does. Exit code 1 where it is not."""
    from evolver import assemble, versions

    opened = pipeline_run(run)
    entry = pipeline_entry(opened, candidate)
    versions.serving(entry, agent)
    sandbox = assemble.sandbox_of(opened)
    try:
        criteria = versions.check(opened, sandbox, entry, agent)
    finally:
        sandbox.close()
    met = all(each.met for each in criteria)
    if as_json_:
        _print({"agent": agent, "met": met, "criteria": [asdict(each) for each in criteria]})
    else:
        console = Console()
        for each in criteria:
            style = "green" if each.met else "yellow"
            sign = "yes" if each.met else "no "
            console.print(Text(f"{sign}  {each.name}: {printable(each.seen)}", style))
        verdict = "is an agent" if met else "is no agent; it stays a fixed part of the pipeline"
        console.print(Text(f"{agent} {verdict}", "bold"))
    if not met:
        raise typer.Exit(1)


@app.command()
def promote(
    agent: Name,
    run: Place = None,
    candidate: Candidate = None,
    as_json_: options.Json = False,
) -> None:
    """Judge a refined version of an agent on the promotion part: it has to win alone, on its inner
    reward, and in the whole, on the outer one. Exit code 1 where it is refused."""
    from evolver import assemble, versions
    from evolver.archive.lock import exclusive
    from evolver.bench import Bench

    opened = pipeline_run(run)
    pair = versions.challenge(opened, agent, candidate)
    console = Console(stderr=True)
    with exclusive(opened.folder):
        sandbox = assemble.sandbox_of(opened)
        try:
            bench = Bench(opened, sandbox)
            verdict = versions.promote(bench, _registry(), agent, pair)
        finally:
            sandbox.close()
    if as_json_:
        _print(verdict.as_data())
    else:
        console.print(f"#{pair[0].number} against #{pair[1].number}, on the promotion part")
        Console().print(Text(printable(str(verdict))), soft_wrap=True)
    if verdict.decision != "promote":
        raise typer.Exit(1)


def _registry() -> Registry:
    from evolver.agents.registry import Registry

    return Registry(runs_folder())


def _version(registry: Registry, agent: str, number: int | None) -> Version:
    versions = registry.versions(agent)
    if number is None:
        return registry.incumbent(agent)
    if not 1 <= number <= len(versions):
        raise UsageError(f"agent {agent} has versions 1 to {len(versions)}, not {number}")
    return versions[number - 1]


def pipeline_run(place: Path | None) -> Run:
    """A run of pipelines. Raises UsageError where it is of anything else."""
    from evolver import run

    opened = run.reopen(place or run.latest())
    if opened.task.name != "pipeline":
        first = ""
        if opened.task.name == "reranking":
            first = f"evolver pipeline of {opened.folder} -o FILE, then "
        start = " --pipeline FILE" if first else ""
        raise UsageError(
            f"{opened.folder} is a run of {opened.task.name} candidates; agents live in pipelines: "
            f"{first}evolver evolve DATA --task pipeline{start}"
        )
    return opened


def pipeline_entry(opened: Run, number: int | None) -> Entry:
    """The candidate that is meant: the best one that is a pipeline of several agents."""
    from evolver.credits import best_pipeline

    found = best_pipeline(opened) if number is None else opened.archive.entry(number)
    if found is None or found.score(opened.metric) is None:
        raise UsageError(f"{opened.folder} has no such pipeline with a score; see evolver status")
    return found


def _table(names: Sequence[str], rows: Sequence[dict[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False)
    for name in names:
        table.add_column(name, justify="left")
    for row in rows:
        table.add_row(*(Text(printable(str(row[name]))) for name in names))
    Console().print(table)


def _print(value: Any) -> None:
    print(json.dumps(value, indent=2))  # noqa: T201
