"""`evolver ask` and `evolver tell`: drive a run step by step, one answer at a time."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evolver.cli.options import Json
from evolver.errors import UsageError

if TYPE_CHECKING:
    from evolver.stepwise import Step, Told

RunPlace = Annotated[
    Path | None, typer.Argument(metavar="[RUN]", help="The run's folder; default the latest.")
]


def ask(
    place: RunPlace = None,
    request: Annotated[
        str | None, typer.Option(help="Print this open request instead of the first.")
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="Only list what is open.")] = False,
    as_json_: Json = False,
) -> None:
    """Print the next request of a run that is driven through its mailbox.

    Trains first what can be trained without an answer, baselines included. Answer with
    `evolver tell`.
    """
    from evolver import run, stepwise

    folder = run.reopen(place or run.latest()).folder
    step = stepwise.ask(folder)
    if as_json_:
        _print(json.dumps(_as_json(step), indent=2))
        return
    if not step.requests:
        ending = step.ending.value if step.ending else "another process is at work"
        _say(f"nothing to ask: {ending}\nNext: evolver status {folder}")
        return
    if list_:
        for found in step.requests:
            _print(f"{found.id}  {found.path}")
        return
    wanted = step.requests[0].id if request is None else request
    chosen = next((found for found in step.requests if found.id == wanted), None)
    if chosen is None:
        known = ", ".join(found.id for found in step.requests)
        raise UsageError(f"no open request {wanted!r}; open: {known}")
    _print(chosen.text)
    _say(
        f"{len(step.requests)} open; this is {chosen.id}\n"
        f"Next: evolver tell {folder} ANSWER.md --request {chosen.id}"
    )


def tell(
    place: Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder.")],
    answer: Annotated[str, typer.Argument(help="The file with the answer; - reads stdin.")],
    request: Annotated[
        str | None, typer.Option(help="Which request it answers; needed if several are open.")
    ] = None,
    wait: Annotated[
        float,
        typer.Option(help="Seconds to wait where another process judges the candidate."),
    ] = 120.0,
    as_json_: Json = False,
) -> None:
    """Hand in an answer, train the candidate in it, and print what came of it."""
    from evolver import run, stepwise

    folder = run.reopen(place).folder
    told = stepwise.tell(folder, _read(answer), request)
    if told.entry is None and told.again is None and told.step.ending is None:
        told = stepwise.look(folder, told.number, wait)
    if as_json_:
        _print(json.dumps(_as_json(told.step) | described(told, folder), indent=2))
        return
    _print(described(told, folder)["said"])
    _say(f"Next: evolver {'status' if told.step.over else 'ask'} {folder}")


def _read(answer: str) -> str:
    if answer == "-":
        return sys.stdin.read()
    try:
        return Path(answer).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the answer at {answer}: {error}") from None


def described(told: Told, folder: Path) -> dict[str, Any]:
    """What came of an answer, for people (`said`) and for programs."""
    from evolver import run
    from evolver.core import Scored, Stopped
    from evolver.text import one_line

    name = f"candidate {told.number}"
    found: dict[str, Any] = {"number": told.number, "score": None, "failed": None, "again": None}
    if told.again is not None:
        found["again"] = told.again.id
        found["said"] = f"not usable as it is; request {told.again.id} says why and asks again"
    elif told.entry is None:
        found["said"] = f"{name} is not judged yet"
    elif isinstance(told.entry.evaluation, Scored):
        opened = run.reopen(folder)
        score = told.entry.score(opened.metric)
        best = opened.archive.best()
        found["score"] = score
        found["said"] = f"{name}: {opened.metric} {score:.4f}" + (
            "" if best is None else f"; best {best.score(opened.metric):.4f} (#{best.number})"
        )
    elif isinstance(told.entry.evaluation, Stopped):
        found["stopped"] = told.entry.evaluation.reason
        found["said"] = f"{name} was stopped: {told.entry.evaluation.reason}"
    else:
        failed = told.entry.evaluation
        found["failed"] = {"kind": failed.kind, "reason": failed.reason}
        found["said"] = f"{name} failed ({failed.kind}): {one_line(failed.reason, 400)}"
    return found


def _as_json(step: Step) -> dict[str, Any]:
    return {
        "open": [{"id": r.id, "number": r.number, "path": str(r.path)} for r in step.requests],
        "ending": None if step.ending is None else step.ending.value,
        "over": step.over,
    }


def _print(text: str) -> None:
    sys.stdout.write(text if text.endswith("\n") else text + "\n")


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
