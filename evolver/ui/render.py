"""Pages from templates. Everything foreign is escaped, made printable and bounded."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse

from evolver import __version__
from evolver.core import Entry, Failed, Stopped
from evolver.report.html import page_environment
from evolver.ui.links import href
from evolver.ui.runs import Snapshot

HERE = Path(__file__).resolve().parent
ROWS = 25
"""Rows of a list on one page."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf(Generic[T]):
    """One page of a list. `number` counts from 1 and lies within `pages`."""

    rows: Sequence[T]
    number: int
    pages: int
    total: int

    @property
    def first(self) -> int:
        """The place of its first row in the list, from 1; 0 where the list is empty."""
        return min(self.total, (self.number - 1) * ROWS + 1)


def leaf(rows: Sequence[T], number: int) -> Leaf[T]:
    """The page with this number; the nearest where there is none."""
    pages = max(1, -(-len(rows) // ROWS))
    number = min(max(number, 1), pages)
    shown = rows[(number - 1) * ROWS : number * ROWS]
    return Leaf(rows=shown, number=number, pages=pages, total=len(rows))


def page(
    request: Request, name: str, *, status: int = 200, run: Snapshot | None = None, **values: Any
) -> HTMLResponse:
    """A template as an answer, with what every page needs."""
    shown = {"csrf": request.state.csrf, "version": __version__, **values}
    if run is not None:
        shown |= {"run": run, "link": partial(href, "runs", run.name, "candidates")}
    return HTMLResponse(environment().get_template(name).render(**shown), status)


def kind_of(entry: Entry) -> str:
    """How a candidate ended, in one word."""
    found = entry.evaluation
    if isinstance(found, Failed):
        return found.kind
    return "stopped" if isinstance(found, Stopped) else "scored"


@cache
def environment() -> jinja2.Environment:
    """Templates of the pages, with the report's filters."""
    made = page_environment(HERE / "templates")
    made.globals |= {"href": href, "kind_of": kind_of}
    made.filters |= {"ago": _ago, "count": lambda number: f"{number:,}"}
    return made


def style_sheet() -> str:
    """The report's look, and what pages add to it."""
    templates = environment()
    return "\n".join(templates.get_template(n).render() for n in ("report.css", "ui.css"))


def _ago(moment: float) -> str:
    """How long ago a moment was, in seconds since 1970."""
    seconds = max(0.0, time.time() - moment)
    for most, size, unit in ((90, 1, "s"), (5400, 60, "min"), (129600, 3600, "h")):
        if seconds < most:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds / 86400:.0f} days ago"
