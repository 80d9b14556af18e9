"""The application: pages behind the guard. Nothing of it runs a candidate or reads the data."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import FastAPI, Form
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from evolver.errors import ArchiveError
from evolver.ui.pages import candidates, comparison, lineage, maps, overview, spending
from evolver.ui.render import HERE, page, style_sheet
from evolver.ui.runs import Shelf
from evolver.ui.security import Guard, Keys

SLOWNESS_SECONDS = 1.0
"""After a wrong password, one after the other."""


def application(
    shelf: Shelf,
    keys: Keys,
    *,
    port: int,
    public: bool = False,
    names: frozenset[str] = frozenset(),
) -> Guard:
    """What a server serves. `port` tells the cookies of several servers on one host apart."""
    app = FastAPI(
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    guard = Guard(app=app, keys=keys, cookie=f"evolver-{port}", public=public, names=names)
    app.state.shelf = shelf
    app.state.keys = keys
    for each in (overview, candidates, comparison, lineage, maps, spending):
        app.include_router(each.router)
    _doors(app, guard)
    _faults(app)
    style = style_sheet()

    @app.get("/static/style.css")
    def look() -> Response:
        return Response(style, media_type="text/css")

    app.mount("/static", StaticFiles(directory=HERE / "static"))
    return guard


def _doors(app: FastAPI, guard: Guard) -> None:
    waiting = asyncio.Lock()

    @app.get("/sign-in")
    def ask(request: Request) -> HTMLResponse:
        return page(request, "sign_in.html.j2", wrong=False)

    @app.post("/sign-in")
    async def sign_in(request: Request, key: Annotated[str, Form()] = "") -> Response:
        session = guard.keys.open(key.strip())
        if session is None:
            async with waiting:
                await asyncio.sleep(SLOWNESS_SECONDS)
            return page(request, "sign_in.html.j2", status=403, wrong=True)
        answer = RedirectResponse("/", 303)
        guard.remember(answer, session, secure=request.url.scheme == "https")
        return answer

    @app.post("/sign-out")
    def sign_out(request: Request, csrf: Annotated[str, Form()] = "") -> Response:
        if not guard.keys.fits(request.state.session, csrf):
            raise HTTPException(403, "this form is out of date; load the page again")
        guard.keys.close(request.state.session)
        return RedirectResponse("/sign-in", 303)


def _faults(app: FastAPI) -> None:
    @app.exception_handler(HTTPException)
    def refused(request: Request, error: HTTPException) -> HTMLResponse:
        return page(request, "fault.html.j2", status=error.status_code, said=error.detail)

    @app.exception_handler(RequestValidationError)
    def misread(request: Request, error: RequestValidationError) -> HTMLResponse:
        words = "; ".join(f"{each['loc'][-1]}: {each['msg']}" for each in error.errors())
        return page(request, "fault.html.j2", status=400, said=words)

    @app.exception_handler(ArchiveError)
    def unread(request: Request, error: ArchiveError) -> HTMLResponse:
        return page(request, "fault.html.j2", status=500, said=str(error))

    @app.exception_handler(500)
    def broken(request: Request, error: Exception) -> PlainTextResponse:
        return PlainTextResponse("A fault of evolver's; the terminal says more.\n", 500)
