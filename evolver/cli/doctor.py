"""`evolver doctor`: what this machine can do, which sandbox it uses, and what is missing."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import typer

from evolver import __version__
from evolver.cli import options
from evolver.config import cache_folder, runs_folder
from evolver.core import Exchange
from evolver.errors import EvolverError
from evolver.execute.survey import Survey, survey

GIB = 1 << 30
LEAST_DISK = 2 * GIB
ANSWERS = "answers"
EXTRAS = {
    "litellm": ("llm", "language models"),
    "mcp": ("mcp", "evolver mcp"),
    "mlflow-skinny": ("mlflow", "evolver export-mlflow"),
    "onnxruntime": ("onnx", "evolver export --onnx"),
}
"""Optional packages: the extra that brings each, and what it is for."""


def doctor(
    model: options.Models = None,
    api_base: options.ApiBase = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Say which sandbox is used here and why, whether models answer, and what is missing.

    Exit code 1: no sandbox works, or a model that was named does not answer.
    """
    found = survey()
    disks = {name: free_bytes(place) for name, place in places().items()}
    extras = {name: installed(name) for name in EXTRAS}
    models = reach(model or [], api_base)
    if as_json:
        facts = {"evolver": __version__, **dataclasses.asdict(found), "free_bytes": disks}
        typer.echo(json.dumps(facts | {"extras": extras, "models": models}, indent=2))
    else:
        typer.echo("\n".join(lines(found, disks, extras, models)))
    if found.chosen is None or any(said != ANSWERS for said in models.values()):
        raise typer.Exit(1)


def installed(package: str) -> str | None:
    """The version of an optional package; None where it is missing."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def reach(models: Sequence[str], api_base: str | None) -> dict[str, str]:
    """By model: that it answers one tiny request, or why not and what to do. All are asked at
    once."""
    if not models:
        return {}
    from evolver.config import ProposeConfig
    from evolver.propose.llm import model_caller

    def ask(model: str) -> str:
        try:
            caller = model_caller(ProposeConfig(models=(model,), api_base=api_base), Forgetful())
            caller.preflight((model,))
        except EvolverError as error:
            return str(error)
        return ANSWERS

    names = list(dict.fromkeys(models))
    with ThreadPoolExecutor(len(names)) as pool:
        return dict(zip(names, pool.map(ask, names), strict=True))


class Forgetful:
    """A ledger for requests that belong to no run."""

    def recall(self, request_hash: str) -> Exchange | None:
        """Nothing."""
        return None

    def record(self, exchange: Exchange) -> None:
        """Not kept."""


def lines(
    found: Survey,
    disks: Mapping[str, int],
    extras: Mapping[str, str | None],
    models: Mapping[str, str],
) -> list[str]:
    """The report for people; at most a screen."""
    versions = ", ".join(f"{name} {number}" for name, number in found.versions.items())
    out = [f"evolver {__version__} on {versions}", ""]
    for wall in found.walls:
        mark = "used" if wall.name == found.chosen else "works" if wall.works else "no"
        out.append(f"sandbox   {wall.name:<11} {mark:<6} {wall.says}")
    out.append(f"why       {found.why}")
    out.append(f"machine   {found.cores} cores, {found.memory_bytes / GIB:.1f} GiB of memory")
    out.append(f"gpu       {', '.join(found.gpus) or 'none that torch can use'}")
    for name, free in disks.items():
        out.append(f"disk      {free / GIB:.1f} GiB free for {name} ({places()[name]})")
        if free < LEAST_DISK:
            out.append(f"          less than a run may need: free some, or set {MOVES[name]}")
    for name, number in extras.items():
        extra, purpose = EXTRAS[name]
        has = number or f"not installed; for {purpose}: pip install 'evolver[{extra}]'"
        out.append(f"extra     {name} {has}")
    out += [f"model     {name}: {said}" for name, said in models.items()]
    out += ["", *(f"missing   {line}" for line in found.missing)]
    if found.chosen is None:
        return [*out, "No sandbox works here: candidates cannot be run safely."]
    if any(said != ANSWERS for said in models.values()):
        return [*out, "Not every model that was named can be used."]
    return [*out, f"Ready: candidates run under {found.chosen}. Next: evolver evolve"]


MOVES = {
    "runs": "EVOLVER_RUNS to a folder on another disk",
    "cache": "EVOLVER_CACHE to a folder on another disk",
}


def places() -> dict[str, Path]:
    return {"runs": runs_folder(), "cache": cache_folder()}


def free_bytes(place: Path) -> int:
    """What is free where the folder is or would be made."""
    there = place.absolute()
    while not there.exists():
        there = there.parent
    return shutil.disk_usage(there).free
