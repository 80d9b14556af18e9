"""`evolver record`: what a run asked, was answered, tried and measured, as files to keep."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from evolver.cli.ask import RunPlace


def record(
    place: RunPlace = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write.")] = Path("record"),
) -> None:
    """Write a run's record as JSON lines: candidates, requests with replies, evaluations.

    `evolver evolve DATA --config OUT/config.json --replay OUT/candidates.jsonl` repeats it, to the
    same numbers on the same data and machine. Values of single users are left out.
    """
    from evolver import run
    from evolver.core import Failed, Scored, Stopped
    from evolver.propose.replay import recorded, write_record

    opened = run.reopen(place or run.latest())
    history = opened.archive.history()
    out.mkdir(parents=True, exist_ok=True)
    write_record(recorded(history), out / "candidates.jsonl")
    with (out / "exchanges.jsonl").open("w", encoding="utf-8") as file:
        for exchange in opened.archive.exchanges():
            file.write(json.dumps(asdict(exchange), ensure_ascii=False) + "\n")
    with (out / "evaluations.jsonl").open("w", encoding="utf-8") as file:
        for entry in history:
            found = asdict(entry.evaluation)
            for scored in (found, found.get("scored")):
                if scored is not None:
                    scored.pop("per_user", None)
            kinds = {Scored: "scored", Stopped: "stopped", Failed: "failed"}
            kind = kinds[type(entry.evaluation)]
            row = {"number": entry.number, "id": entry.candidate.id, kind: found}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    (out / "config.json").write_text(
        json.dumps(opened.settled.model_dump(mode="json"), indent=2) + "\n", encoding="utf-8"
    )
    size = sum(path.stat().st_size for path in out.iterdir())
    typer.echo(f"{len(history)} candidates, {size / 1e6:.1f} MB in {out}", err=True)
    again = f"--config {out / 'config.json'} --replay {out / 'candidates.jsonl'}"
    typer.echo(f"Next: evolver evolve DATA {again}", err=True)
