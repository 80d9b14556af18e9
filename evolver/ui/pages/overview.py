"""The list of runs, and one run: what came of it, how it goes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse

from evolver.core import Candidate, Entry
from evolver.report.charts import Chart, progress_chart
from evolver.report.gather import intervals
from evolver.report.verdict import verdict
from evolver.ui.asked import OneRun, Runs
from evolver.ui.render import leaf, page
from evolver.ui.runs import KEPT, Snapshot

DOTS = 1200
"""Dots that a chart draws at most."""
SHOWN = 8
BANDS = 40
"""So many of the latest leaders get an interval in the chart."""

router = APIRouter()


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How a run goes. latest: what was settled last, by number; pending: in flight, or left by a
    process that was killed."""

    live: bool
    ended: str | None
    done: int
    planned: int
    scored: int
    stopped: int
    failed: int
    seconds: float
    limit_seconds: float | None
    usd: float
    limit_usd: float | None
    tokens: int
    unpriced: int
    latest: tuple[Entry, ...]
    pending: tuple[tuple[int, Candidate], ...]
    more_pending: int

    @property
    def a_minute(self) -> float | None:
        """Candidates a minute; None before there was a minute to speak of."""
        return 60 * self.done / self.seconds if self.seconds > 6 else None


def progress(run: Snapshot) -> Progress:
    """Read the archive's counts."""
    archive, data, budget = run.run.archive, run.data, run.run.config.budget
    usd, tokens, unpriced = archive.spent()
    pending = list(archive.pending().items())
    return Progress(
        live=run.live,
        ended=archive.ended(),
        done=len(data.entries),
        planned=budget.candidates,
        scored=len(data.ranked),
        stopped=len(data.stopped),
        failed=len(data.failed),
        seconds=archive.seconds_used(),
        limit_seconds=budget.seconds,
        usd=usd,
        limit_usd=budget.usd,
        tokens=tokens,
        unpriced=unpriced,
        latest=tuple(reversed(data.entries[-SHOWN:])),
        pending=tuple(pending[:SHOWN]),
        more_pending=max(0, len(pending) - SHOWN),
    )


@router.get("/")
def runs(request: Request, runs: Runs, at: int = 1) -> HTMLResponse:
    """The runs of the folder, what changed last first."""
    names = leaf(runs.names(), at)
    return page(
        request,
        "runs.html.j2",
        leaf=names,
        listed=[runs.listed(name) for name in names.rows],
        folder=str(runs.folder),
    )


@router.get("/runs/{run}")
def overview(request: Request, run: OneRun) -> HTMLResponse:
    """What came of a run, how it goes, who leads."""
    return page(
        request,
        "overview.html.j2",
        run=run,
        data=run.evidence,
        verdict=verdict(run.evidence),
        leaders=run.data.ranked[:SHOWN],
        **_progress(run),
    )


@router.get("/runs/{run}/live")
def live(request: Request, run: OneRun) -> HTMLResponse:
    """The part of the overview that changes while a search goes on."""
    return page(request, "live.html.j2", run=run, data=run.data, **_progress(run))


def _progress(run: Snapshot) -> dict[str, Any]:
    return {"progress": progress(run), "chart": _chart(run)}


@lru_cache(maxsize=KEPT)
def _chart(run: Snapshot) -> Chart | None:
    wanted = {*run.data.leaders[-BANDS:], run.data.winner, run.data.baseline} - {None}
    bands = intervals(run.run, sorted(n for n in wanted if n is not None))
    return progress_chart(replace(run.data, intervals=bands), DOTS)
