"""`evolver ask` and `evolver tell`: drive a run step by step, one answer or several at a time."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evolver.cli.options import Json
from evolver.errors import UsageError

if TYPE_CHECKING:
    from evolver.evolve import Event
    from evolver.propose.mailbox import OpenRequest
    from evolver.stepwise import Step, Told

RunPlace = Annotated[
    Path | None, typer.Argument(metavar="[RUN]", help="The run's folder; default the latest.")
]


def ask(
    place: RunPlace = None,
    request: Annotated[
        str | None, typer.Option(help="Print this open request instead of the first.")
    ] = None,
    all_: Annotated[
        bool,
        typer.Option("--all", help="Print all that is open; what they have in common once."),
    ] = False,
    short: Annotated[
        bool,
        typer.Option("--short", help="Leave out what all requests of this run have in common."),
    ] = False,
    list_: Annotated[bool, typer.Option("--list", help="Only list what is open.")] = False,
    as_json_: Json = False,
) -> None:
    """Print the next request of a run that is driven through its mailbox, or all open ones.

    Trains first what can be trained without an answer, baselines included. Answer with
    `evolver tell`.
    """
    from evolver import run, stepwise

    folder = run.reopen(place or run.latest()).folder
    step = stepwise.ask(folder, _progress)
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
    chosen = step.requests if all_ else [_chosen(step.requests, request)]
    _print(_together(chosen, folder, short=short) if all_ or short else chosen[0].text)
    if all_:
        _say(f"{len(chosen)} open\nNext: evolver tell {folder} ANSWERS.md")
        return
    _say(
        f"{len(step.requests)} open; this is {chosen[0].id}\n"
        f"Next: evolver tell {folder} ANSWER.md --request {chosen[0].id}"
    )


def tell(
    place: Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder.")],
    answers: Annotated[
        list[str],
        typer.Argument(
            metavar="ANSWER...",
            help="Files with answers; - reads stdin. A file answers the request that it is named "
            "after (0017-1a2b3c4d.md, or 17.md), or several, each after a line "
            "`<!-- evolver answer REQUEST -->`.",
        ),
    ],
    request: Annotated[str | None, typer.Option(help="Which request the one file answers.")] = None,
    wait: Annotated[
        float,
        typer.Option(help="Seconds to wait where another process judges the candidates."),
    ] = 120.0,
    author: Annotated[
        str, typer.Option(help="Who wrote these; by default whom --author of evolve named.")
    ] = "",
    as_json_: Json = False,
) -> None:
    """Hand in answers, train the candidates in them side by side, and print what came of them.

    Where one answer fits no open request, none is handed in.
    """
    from evolver import run, stepwise

    folder = run.reopen(place).folder
    given = _given(folder, answers, request)
    results = stepwise.tell_all(folder, given, _progress, author=author, wait=wait)
    step = results[-1].step
    found = [described(told, folder) for told in results]
    if as_json_:
        single = found[0] if len(found) == 1 else {"results": found}
        _print(json.dumps(_as_json(step) | single, indent=2))
        return
    for one in found:
        _print(one["said"])
    still = f"{len(step.requests)} open\n" if step.requests else ""
    _say(f"{still}Next: evolver {'status' if step.over else 'ask'} {folder}")


def _chosen(requests: Sequence[OpenRequest], request: str | None) -> OpenRequest:
    wanted = requests[0].id if request is None else request
    found = next((r for r in requests if r.id == wanted), None)
    if found is None:
        known = ", ".join(r.id for r in requests)
        raise UsageError(f"no open request {wanted!r}; open: {known}")
    return found


def _together(requests: Sequence[OpenRequest], folder: Path, *, short: bool) -> str:
    """Requests as one text: what they have in common, each one's own part, how to answer."""
    ids = [r.id for r in requests]
    lines = [
        f"Open requests: {', '.join(ids)}. Each wants one candidate, and each another idea. Answer "
        f"as many as you like in one file: before each answer a line",
        "",
        f"<!-- evolver answer {ids[0]} -->",
        "",
        f"with its request, then the answer in the form that it asks for. Then: evolver tell "
        f"{folder} FILE",
        "",
    ]
    shared = "" if short else requests[0].shared
    parts = [f"\n==== request {r.id} ====\n\n{r.own.strip()}\n" for r in requests]
    return "\n".join(lines) + shared + "\n".join(parts)


def _given(folder: Path, files: Sequence[str], request: str | None) -> dict[str, str]:
    """The answers by request. Raises UsageError where one cannot be told."""
    from evolver import run, stepwise
    from evolver.propose.mailbox import split_answers

    opened = {r.id: r for r in stepwise.mailbox(run.reopen(folder)).open_requests()}
    found: dict[str, str] = {}
    for file in files:
        text = _read(file)
        several = split_answers(text)
        if several:
            if request is not None:
                raise UsageError(f"{file} says itself what it answers; leave --request out")
            new = several
        elif request is not None:
            if len(files) > 1:
                raise UsageError("--request is for one file")
            new = {request: text}
        else:
            new = {_named(file, opened) or stepwise.only(folder): text}
        twice = found.keys() & new.keys()
        if twice:
            raise UsageError(f"request {min(twice)} is answered twice")
        found |= new
    return found


def _named(file: str, opened: Mapping[str, OpenRequest]) -> str | None:
    """The open request that a file is named after: by its id, or by its number."""
    stem = Path(file).name.partition(".")[0]
    if stem in opened:
        return stem
    if stem.isascii() and stem.isdigit():
        return next((name for name, r in opened.items() if r.number == int(stem)), None)
    return None


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
        found["fault"] = told.again.fault
        found["said"] = (
            f"{name}: the answer cannot be used as it is; request {told.again.id} asks again\n"
            + "".join(f"  {line}\n" for line in told.again.fault.splitlines()[:30])
        )
    elif told.entry is None:
        found["said"] = f"{name} is not judged yet"
    elif isinstance(told.entry.evaluation, Scored):
        opened = run.reopen(folder)
        score = told.entry.score(opened.metric)
        best = opened.archive.best()
        found["score"] = score
        found["said"] = (
            f"{name}: {opened.metric} {score:.4f}, fit {told.entry.evaluation.fit_seconds:.1f} s"
        ) + ("" if best is None else f"; best {best.score(opened.metric):.4f} (#{best.number})")
    elif isinstance(told.entry.evaluation, Stopped):
        found["stopped"] = told.entry.evaluation.reason
        found["said"] = f"{name} was stopped: {told.entry.evaluation.reason}"
    else:
        failed = told.entry.evaluation
        found["failed"] = {"kind": failed.kind, "reason": failed.reason}
        found["said"] = f"{name} failed ({failed.kind}): {one_line(failed.reason, 400)}"
    return found


def _progress(event: Event) -> None:
    """One line to stderr for each candidate that is done: training takes minutes in silence."""
    from evolver.core import Failed
    from evolver.text import one_line

    if event.evaluation is None:
        return
    name = one_line(event.candidate.name or event.candidate.family, 40)
    failed = event.evaluation.kind if isinstance(event.evaluation, Failed) else "judged"
    _say(f"#{event.number} {name} ({event.candidate.proposer}): {failed}, {event.seconds:.0f} s")


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
