"""`evolver doctor`: what this machine can do, which sandbox it uses, and what is missing."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Annotated

import typer

from evolver import __version__
from evolver.config import cache_folder, runs_folder
from evolver.execute.survey import Survey, survey

GIB = 1 << 30
LEAST_DISK = 2 * GIB


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Say which sandbox is used here and why, and what is missing. Exit code 1: none works."""
    found = survey()
    disks = {name: free_bytes(place) for name, place in places().items()}
    if as_json:
        facts = {"evolver": __version__, **dataclasses.asdict(found), "free_bytes": disks}
        typer.echo(json.dumps(facts, indent=2))
    else:
        typer.echo("\n".join(lines(found, disks)))
    if found.chosen is None:
        raise typer.Exit(1)


def lines(found: Survey, disks: dict[str, int]) -> list[str]:
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
        note = "  less than a run may need" if free < LEAST_DISK else ""
        out.append(f"disk      {free / GIB:.1f} GiB free for {name} ({places()[name]}){note}")
    out += ["", *(f"missing   {line}" for line in found.missing)]
    if found.chosen is None:
        return [*out, "No sandbox works here: candidates cannot be run safely."]
    return [*out, f"Ready: candidates run under {found.chosen}. Next: evolver evolve"]


def places() -> dict[str, Path]:
    return {"runs": runs_folder(), "cache": cache_folder()}


def free_bytes(place: Path) -> int:
    """What is free where the folder is or would be made."""
    there = place.absolute()
    while not there.exists():
        there = there.parent
    return shutil.disk_usage(there).free
