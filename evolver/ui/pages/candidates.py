"""The leaderboard, one candidate, and what a reviewer says of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Form
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from evolver.archive.elites import MapElites
from evolver.archive.reviews import ACTIONS, MOST_WORDS, Action, whoami
from evolver.core import Entry, Exchange, PartName, Scored
from evolver.errors import UsageError
from evolver.report.board import SORTS, Board
from evolver.report.data import Figure
from evolver.report.diff import diff
from evolver.report.finals import final_rows, name_of, rail_rows
from evolver.report.flow import draw_pipeline
from evolver.report.gather import PARTS, intervals
from evolver.report.html import code, other_metrics
from evolver.report.shares import pipeline_shares
from evolver.report.whom import NO_CALIBRATION, diagnosis, notes
from evolver.ui.asked import OneCandidate, OneRun
from evolver.ui.links import href
from evolver.ui.render import leaf, page
from evolver.ui.runs import Snapshot

MOST_OUTPUT = 20_000
"""Characters of each of a candidate's outputs and exchanges that are shown; the end of them."""
MOST_EXCHANGES = 6

router = APIRouter(prefix="/runs/{run}/candidates")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One measuring of a candidate's metric: on which part, with which seed."""

    part: PartName
    seed: int
    value: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class Text:
    """The end of something long. `cut`: characters before it that are not shown."""

    name: str
    shown: str
    cut: int


@router.get("")
def board(
    request: Request,
    run: OneRun,
    *,
    sort: str = "score",
    family: str = "",
    proposer: str = "",
    reviewed: bool = False,
    at: int = 1,
) -> HTMLResponse:
    """The leaderboard, sorted and filtered."""
    chosen = Board(sort=sort, family=family, proposer=proposer, reviewed=reviewed)
    try:
        found = leaf(chosen.apply(run.data), at)
    except UsageError as error:
        raise HTTPException(400, str(error)) from error
    return page(
        request,
        "board.html.j2",
        run=run,
        data=run.data,
        board=chosen,
        sorts=SORTS,
        leaf=found,
        intervals={
            number: Figure(value=0.0, low=low, high=high).interval
            for number, (low, high) in intervals(run.run, [e.number for e in found.rows]).items()
        },
        other_metrics=other_metrics(run.data, 2),
    )


@router.get("/{number}")
def one(request: Request, run: OneRun, entry: OneCandidate, done: str = "") -> HTMLResponse:
    """Everything that is known of one candidate."""
    data = run.evidence
    parent = data.parent(entry.number)
    rivals = {
        word: other
        for word, other in {"parent": parent, "baseline": data.best_baseline}.items()
        if other is not None and other.number != entry.number and other.number in run.ranks
    }
    judged = [] if data.gate is None else [j for j in data.gate.judged if j.number == entry.number]
    exchanges = run.run.archive.exchanges(entry.number)
    cell = MapElites.cell(entry)
    shares = pipeline_shares(run.run, entry)
    return page(
        request,
        "candidate.html.j2",
        run=run,
        data=data,
        entry=entry,
        rank=run.ranks.get(entry.number),
        cell=cell,
        elite=cell is not None and run.elites[cell].number == entry.number,
        parents=[(each, data.by_id.get(each)) for each in entry.candidate.parents],
        rivals=rivals,
        flow=None if shares is None else draw_pipeline(shares),
        metrics=_metrics([entry, *rivals.values()]),
        told=diagnosis(run.run, data, entry.number),
        no_calibration=NO_CALIBRATION,
        notes=notes(run.run, data, entry.number),
        finals=[row for row in final_rows(data) if row.number == entry.number],
        rails=[(name_of(data, each.against), rail_rows(each)) for each in judged],
        measured=list(_measured(run, entry)),
        changes=diff(parent.candidate, entry.candidate) if parent else [],
        code=code(entry.candidate.source),
        logs=_logs(run, entry),
        exchanges=[_exchange(each) for each in exchanges[-MOST_EXCHANGES:]],
        more_exchanges=max(0, len(exchanges) - MOST_EXCHANGES),
        reviews=[r for r in run.run.archive.reviews.all() if r.number == entry.number],
        most_words=MOST_WORDS,
        done=done if done in ACTIONS else "",
    )


@router.post("/{number}/review")
def review(
    request: Request,
    run: OneRun,
    entry: OneCandidate,
    *,
    action: Annotated[Action, Form()],
    csrf: Annotated[str, Form()] = "",
    text: Annotated[str, Form()] = "",
) -> Response:
    """Record one review, as `evolver review` does; a running search heeds it."""
    if not request.app.state.keys.fits(request.state.session, csrf):
        raise HTTPException(403, "this form is out of date; load the page again")
    try:
        run.run.archive.reviews.add(entry.number, action, text, whoami())
    except UsageError as error:
        raise HTTPException(400, str(error)) from error
    place = href("runs", run.name, "candidates", entry.number, done=action)
    return RedirectResponse(f"{place}#review", 303)


def _metrics(entries: list[Entry]) -> list[str]:
    """Names of metrics that any of them has, in the order of the first that has them."""
    found: dict[str, None] = {}
    for entry in entries:
        if isinstance(entry.evaluation, Scored):
            found |= dict.fromkeys(entry.evaluation.metrics)
    return list(found)


def _measured(run: Snapshot, entry: Entry) -> Iterator[Measured]:
    for part in PARTS:
        for seed, found in sorted(run.run.archive.evaluations(entry.number, part).items()):
            if isinstance(found, Scored):
                value, reason = found.metrics[run.data.metric], ""
            else:
                value, reason = None, found.reason
            yield Measured(part=part, seed=seed, value=value, reason=reason)


def _logs(run: Snapshot, entry: Entry) -> list[Text]:
    stdout, stderr = run.run.archive.output(entry.number)
    return [_end(name, text) for name, text in (("stdout", stdout), ("stderr", stderr)) if text]


def _exchange(exchange: Exchange) -> tuple[Exchange, list[Text]]:
    said = {"request": exchange.request, "reply": exchange.reply, "error": exchange.error}
    return exchange, [_end(name, text) for name, text in said.items() if text]


def _end(name: str, text: str) -> Text:
    return Text(name, text[-MOST_OUTPUT:], max(0, len(text) - MOST_OUTPUT))
