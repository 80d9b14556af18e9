"""Maps of what was tried: quality against its price, and the best of every kind."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse

from evolver.archive.elites import SHARES, Cell
from evolver.core import Entry
from evolver.report.charts import LATENCY, pareto, priced_points, trade_off_chart
from evolver.ui.asked import OneRun
from evolver.ui.charts import PRICES
from evolver.ui.pages.overview import DOTS
from evolver.ui.render import page
from evolver.ui.runs import Snapshot

FAMILIES = 30
SHADES = 5
"""Cells are told apart by so many shades, from the worst fifth to the best."""

router = APIRouter(prefix="/runs/{run}/maps")


@dataclass(frozen=True, slots=True, kw_only=True)
class Elite:
    """The best of a cell. shade: 1 for the worst fifth of all elites to SHADES for the best."""

    entry: Entry
    score: float
    shade: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """columns: (cost, popularity) that any family reached, with their words. rows: a family with
    its cells in the order of the columns; the family with the best elite first."""

    columns: list[str]
    rows: list[tuple[str, list[Elite | None]]]
    more: int


@router.get("")
def maps(request: Request, run: OneRun, price: str = LATENCY.name) -> HTMLResponse:
    """Both maps; every mark leads to its candidate."""
    if price not in PRICES:
        raise HTTPException(400, f"no price {price!r}; one of {', '.join(PRICES)}")
    front = pareto(priced_points(run.data, PRICES[price]))
    return page(
        request,
        "maps.html.j2",
        run=run,
        data=run.data,
        price=PRICES[price],
        prices=list(PRICES),
        chart=trade_off_chart(run.data, PRICES[price], DOTS),
        front=[(run.data.by_number[number], cost, score) for cost, score, number in front],
        grid=grid(run),
    )


def grid(run: Snapshot) -> Grid:
    """The map of kinds (MAP-Elites) as a table."""
    elites = run.elites
    scores = sorted(_score(run, entry) for entry in elites.values())
    columns = sorted({(cell.cost, cell.popularity) for cell in elites})
    best: dict[str, float] = {}
    for cell, entry in elites.items():
        best[cell.family] = max(best.get(cell.family, float("-inf")), _score(run, entry))
    families = sorted(best, key=lambda family: (-best[family], family))

    def elite(family: str, cost: int, popularity: int) -> Elite | None:
        entry = elites.get(Cell(family=family, cost=cost, popularity=popularity))
        if entry is None:
            return None
        score = _score(run, entry)
        below = sum(other < score for other in scores)
        return Elite(entry=entry, score=score, shade=1 + below * SHADES // len(scores))

    return Grid(
        columns=[_words(*column) for column in columns],
        rows=[(family, [elite(family, *c) for c in columns]) for family in families[:FAMILIES]],
        more=max(0, len(families) - FAMILIES),
    )


def _words(cost: int, popularity: int) -> str:
    return (
        f"under {10.0 ** (cost + 1):g} s, "
        f"{popularity / SHARES:.0%} to {(popularity + 1) / SHARES:.0%} popular"
    )


def _score(run: Snapshot, entry: Entry) -> float:
    score = entry.score(run.data.metric)
    if score is None:
        raise ValueError(f"candidate {entry.number} has no score")
    return score
