"""What a run cost, and what came to nothing."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse

from evolver.core import Entry, Scored
from evolver.ui.asked import OneRun
from evolver.ui.render import kind_of, leaf, page

router = APIRouter(prefix="/runs/{run}")


@dataclass(slots=True)
class Share:
    """What one proposer or family took and brought."""

    name: str
    candidates: int = 0
    scored: int = 0
    seconds: float = 0.0
    best: Entry | None = field(default=None, repr=False)


@router.get("/costs")
def costs(request: Request, run: OneRun) -> HTMLResponse:
    """Time, money and tokens: against the budget, by model, by who proposed what."""
    return page(
        request,
        "costs.html.j2",
        run=run,
        data=run.evidence,
        bills=run.run.archive.bills(),
        proposers=shares(run.data.ranked + run.data.stopped + run.data.failed, run.data.metric),
    )


@router.get("/failures")
def failures(request: Request, run: OneRun, kind: str = "", at: int = 1) -> HTMLResponse:
    """Failures and what was stopped, with their reasons."""
    lost = sorted(run.data.failed + run.data.stopped, key=lambda entry: -entry.number)
    kinds = Counter(kind_of(entry) for entry in lost)
    chosen = [entry for entry in lost if not kind or kind_of(entry) == kind]
    return page(
        request,
        "failures.html.j2",
        run=run,
        data=run.data,
        kinds=kinds.most_common(),
        kind=kind,
        leaf=leaf(chosen, at),
    )


def shares(entries: list[Entry], metric: str) -> list[Share]:
    """By who proposed them; who took most of the sandbox's time first."""
    found: dict[str, Share] = defaultdict(lambda: Share(""))
    for entry in entries:
        share = found[entry.candidate.proposer]
        share.name = entry.candidate.proposer
        share.candidates += 1
        share.seconds += entry.seconds
        if isinstance(entry.evaluation, Scored):
            share.scored += 1
            if share.best is None or _score(entry, metric) > _score(share.best, metric):
                share.best = entry
    return sorted(found.values(), key=lambda share: -share.seconds)


def _score(entry: Entry, metric: str) -> float:
    return entry.score(metric) or 0.0
