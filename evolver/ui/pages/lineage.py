"""The lineage graph: of one candidate, or of the whole run."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse

from evolver.report.graph import Family, draw
from evolver.ui.asked import OneRun, named
from evolver.ui.render import page

router = APIRouter(prefix="/runs/{run}/lineage")


@router.get("")
def lineage(request: Request, run: OneRun, of: str = "") -> HTMLResponse:
    """Ancestors and descendants of one candidate; without one, everybody or the leaders."""
    family = Family(run.data)
    focus = named(run, of) if of.strip() else None
    if focus is None:
        numbers, left_out = family.leaders()
        marked = run.data.winner
    else:
        numbers, left_out = family.around(focus.number)
        marked = focus.number
    return page(
        request,
        "lineage.html.j2",
        run=run,
        data=run.data,
        focus=focus,
        graph=draw(run.data, family, numbers, marked, left_out),
        chain=run.data.lineage(marked) if marked is not None else [],
    )
