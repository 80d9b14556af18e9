"""Two candidates side by side: metrics, slices of users, single users, code."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
from fastapi import APIRouter
from numpy.typing import NDArray
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse

from evolver.core import Entry, Scored
from evolver.evaluate.diagnostics import diagnose
from evolver.report.diff import diff
from evolver.ui.asked import OneRun, named
from evolver.ui.charts import histogram
from evolver.ui.render import leaf, page
from evolver.ui.runs import Snapshot

Order = Literal["better", "worse", "user"]
_ORDERS: dict[Order, str] = {
    "better": "better with the first",
    "worse": "worse with the first",
    "user": "in their order",
}

router = APIRouter(prefix="/runs/{run}/compare")


@router.get("")
def compare(
    request: Request,
    run: OneRun,
    *,
    a: str = "",
    b: str = "baseline",
    metric: str = "",
    order: Order = "better",
    at: int = 1,
) -> HTMLResponse:
    """Two candidates, by their numbers, ids, "best" or "baseline"; the first is the best that the
    search proposed, if nobody says otherwise."""
    if not run.data.ranked:
        return page(request, "compare.html.j2", run=run, data=run.data, first=None)
    proposed = run.data.challenger
    first = named(run, a or ("best" if proposed is None else str(proposed)))
    second = named(run, b)
    shown: dict[str, Any] = {"first": first, "second": second, "users": None}
    ours, theirs = _whole(run, first), _whole(run, second)
    if ours is not None and theirs is not None:
        both = [name for name in ours.per_user if name in theirs.per_user]
        wanted = metric or (run.data.metric if run.data.metric in both else (both or [""])[0])
        if wanted in both:
            shown |= _users(run, ours, theirs, metric=wanted, order=order, at=at) | {"both": both}
        elif metric:
            raise HTTPException(404, f"{metric!r} was not measured of both; of both were {both}")
    return page(
        request,
        "compare.html.j2",
        run=run,
        data=run.data,
        orders=_ORDERS,
        order=order,
        changes=diff(second.candidate, first.candidate),
        **shown,
    )


def _users(
    run: Snapshot, ours: Scored, theirs: Scored, *, metric: str, order: Order, at: int
) -> dict[str, Any]:
    values, others = (each.per_user[metric].astype(np.float64) for each in (ours, theirs))
    slices = run.run.slices
    differences = values - others
    found = leaf(_ordered(differences, order), at)
    return {
        "metric": metric,
        "told": diagnose(ours, slices, metric, [("the second", theirs)]),
        "chart": histogram(differences, f"{metric} of the first less that of the second"),
        "leaf": found,
        "users": [
            {
                "user": int(user),
                "first": float(values[user]),
                "second": float(others[user]),
                "difference": float(differences[user]),
                "slices": [each.name for each in slices if each.mask[user]],
            }
            for user in found.rows
        ],
    }


def _ordered(differences: NDArray[np.float64], order: Order) -> list[int]:
    if order == "user":
        return list(range(len(differences)))
    keys = -differences if order == "better" else differences
    return [int(user) for user in np.argsort(keys, kind="stable")]


def _whole(run: Snapshot, entry: Entry) -> Scored | None:
    """Its evaluation on the search part with the values of each user."""
    if not isinstance(entry.evaluation, Scored):
        return None
    users = run.run.archive.per_user(entry.number, "search", run.run.seed)
    return replace(entry.evaluation, per_user=users)
