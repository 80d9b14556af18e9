"""`evolver mcp`: the mailbox as tools of the Model Context Protocol, over stdin and stdout.

A run is a process of its own (`evolver evolve --proposer mailbox`), started here or in a terminal;
the tools read its archive and exchange files with its mailbox, so they answer at once and a lost
connection loses nothing.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from evolver import __version__
from evolver.errors import ConfigError, EvolverError, UsageError

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer

LONGEST_WAIT_SECONDS = 50.0
"""Clients give up on a tool after about a minute."""

INSTRUCTIONS = """\
evolver searches for better recommender modules. Start a run with start_run (or take one that is
going on), then repeat: next_request, write the candidate that it asks for, answer. Everything that
you may know about the data is in the request; do not look for held-out data. When next_request says
that the run is over, read run_status.
"""


def mcp(
    runs: Annotated[
        Path | None, typer.Option(help="Where new runs are kept; default $EVOLVER_RUNS or ./runs.")
    ] = None,
) -> None:
    """Serve the mailbox to a coding agent over MCP (stdio). Needs: pip install 'evolver[mcp]'."""
    from evolver.config import runs_folder

    host = Host(runs or runs_folder())
    try:
        server(host).run("stdio")
    finally:
        host.close()


class Host:
    """The runs that this server started, and what its tools do. Tools take a run's folder."""

    def __init__(self, runs: Path) -> None:
        self._runs = runs
        self._started: dict[Path, subprocess.Popen[bytes]] = {}

    def start(self, data: str, options: list[str]) -> dict[str, Any]:
        """Start a run in the background; its output goes to evolve.log in its folder."""
        folder = self._runs / time.strftime("%Y-%m-%d-%H%M%S")
        folder.mkdir(parents=True)
        words = ["evolve", *([data] if data else []), "--proposer", "mailbox", *options]
        with (folder / "evolve.log").open("wb") as log:
            self._started[folder.resolve()] = subprocess.Popen(
                [sys.executable, "-m", "evolver", *words, "-o", str(folder), "--json"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return {"run": str(folder), "next": "call next_request; the baselines are trained first"}

    def close(self) -> None:
        """Interrupt what was started; the runs can be resumed."""
        for process in self._started.values():
            if process.poll() is None:
                process.terminate()
        for process in self._started.values():
            process.wait()

    async def next_request(
        self, place: Path, wait_seconds: float, wanted: str = ""
    ) -> dict[str, Any]:
        """The wanted open request or the first, or that there is none (as yet)."""
        from evolver.propose.mailbox import Mailbox

        end = time.monotonic() + min(wait_seconds, LONGEST_WAIT_SECONDS)
        while True:
            found = Mailbox(place / "mailbox").open_requests()
            if found:
                chosen = next((r for r in found if r.id == wanted), None if wanted else found[0])
                if chosen is None:
                    known = ", ".join(r.id for r in found)
                    raise UsageError(f"no open request {wanted!r}; open: {known}")
                return {
                    "request": chosen.id,
                    "open": [request.id for request in found],
                    "text": chosen.text,
                }
            state = self._state(place)
            if state != "working" or time.monotonic() >= end:
                return {"request": None, "state": state}
            await asyncio.sleep(0.5)

    async def answer(
        self, place: Path, request: str, text: str, wait_seconds: float, author: str = ""
    ) -> dict[str, Any]:
        """Hand in an answer; what came of it, if that is known within the wait."""
        from evolver.cli.ask import described
        from evolver.run import reopen
        from evolver.stepwise import look, mailbox

        mailbox(reopen(place)).answer(request, text, author)
        number = int(request.partition("-")[0])
        seconds = min(wait_seconds, LONGEST_WAIT_SECONDS)
        told = await asyncio.to_thread(look, place, number, seconds)
        return described(told, place)

    def _state(self, place: Path) -> str:
        """working, over, or why it stopped."""
        process = self._started.get(place.resolve())
        if process is None:
            return "working" if _held(place) else "not running; `evolver resume` goes on with it"
        code = process.poll()
        if code is None:
            return "working"
        if code == 0:
            return "over"
        tail = (place / "evolve.log").read_text(encoding="utf-8", errors="replace")[-2000:]
        return f"stopped with exit code {code}: {tail.strip()}"


def _held(place: Path) -> bool:
    """Whether a process works on the run."""
    from evolver.archive.lock import exclusive
    from evolver.errors import ArchiveError

    if not (place / "archive.sqlite").exists():
        raise UsageError(f"there is no run at {place}")
    try:
        with exclusive(place):
            return False
    except ArchiveError:
        return True


def server(host: Host) -> MCPServer:
    """The tools. Faults come back as one line, not as a stack of calls."""
    try:
        from mcp.server.mcpserver import MCPServer
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("mcp"):
            raise
        raise ConfigError("evolver mcp needs the mcp package: pip install 'evolver[mcp]'") from None
    app = MCPServer("evolver", version=__version__, instructions=INSTRUCTIONS)

    @app.tool()
    def start_run(
        data: str = "",
        candidates: int = 40,
        metric: str = "ndcg@10",
        time_limit: str = "",
        seed: int = 0,
        task: Literal["retrieval", "pipeline"] = "retrieval",
    ) -> str:
        """Start a search. data: a file or folder of interactions, empty for a bundled sample.
        time_limit such as 30m; candidates count baselines too. task: single models, or whole
        pipelines of agents. Returns the run's folder."""
        options = ["--candidates", str(candidates), "--metric", metric, "--seed", str(seed)]
        options += ["--task", task]
        if time_limit:
            options += ["--time", time_limit]
        return _answered(lambda: host.start(data, options))

    @app.tool()
    async def next_request(run: str, wait_seconds: float = 30.0, request: str = "") -> str:
        """The next request for a candidate: all that there is to know, and how to answer. Waits up
        to wait_seconds for one while the run is training. Several may be open; request picks one
        of those that `open` lists, so that they can be answered side by side."""
        try:
            return json.dumps(await host.next_request(Path(run), wait_seconds, request))
        except EvolverError as error:
            return json.dumps({"error": str(error)})

    @app.tool()
    async def answer(
        run: str, request: str, text: str, wait_seconds: float = 45.0, author: str = ""
    ) -> str:
        """Answer a request by its id. text: the whole answer in the form that the request asks
        for. author: who you are, for the record. Returns the score, or why it failed, or that it is
        still being trained."""
        try:
            return json.dumps(await host.answer(Path(run), request, text, wait_seconds, author))
        except EvolverError as error:
            return json.dumps({"error": str(error)})

    @app.tool()
    def run_status(run: str) -> str:
        """Leaderboard, gain over the best tuned baseline with its interval, and failures."""
        from evolver.run import reopen
        from evolver.summary import as_json, summarise

        def status() -> dict[str, Any]:
            opened = reopen(Path(run))
            return as_json(opened, summarise(opened))

        return _answered(status)

    return app


def _answered(work: Any) -> str:
    try:
        return json.dumps(work())
    except EvolverError as error:
        return json.dumps({"error": str(error)})
