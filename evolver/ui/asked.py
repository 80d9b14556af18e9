"""What pages take from a request: the run, and candidates by the words that people use."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request

from evolver.core import Entry
from evolver.errors import UsageError
from evolver.report.board import find
from evolver.ui.runs import Shelf, Snapshot


def shelf(request: Request) -> Shelf:
    """The runs that this server shows."""
    return cast(Shelf, request.app.state.shelf)


Runs = Annotated[Shelf, Depends(shelf)]


def snapshot(run: str, runs: Runs) -> Snapshot:
    """The run in the path, as it is now."""
    try:
        return runs.snapshot(run)
    except UsageError as error:
        raise HTTPException(404, str(error)) from error


OneRun = Annotated[Snapshot, Depends(snapshot)]


def candidate(run: OneRun, number: int) -> Entry:
    """The candidate in the path."""
    entry = run.data.by_number.get(number)
    if entry is None:
        waits = number in run.run.archive.pending()
        why = "is not judged yet" if waits else "was never proposed"
        raise HTTPException(404, f"candidate {number} of {run.name} {why}")
    return entry


OneCandidate = Annotated[Entry, Depends(candidate)]


def named(run: Snapshot, wanted: str) -> Entry:
    """The candidate that somebody means by "best", "baseline", 12, #12 or an id's beginning."""
    try:
        return find(run.data, wanted.strip())
    except UsageError as error:
        raise HTTPException(404, str(error)) from error
