"""One sitting of a run: search until the budget is spent, show it, print what was found."""

from __future__ import annotations

import json

from rich.console import Console

from evolver import assemble
from evolver.archive.lock import exclusive
from evolver.cli import show
from evolver.cli.live import Watcher
from evolver.evolve import Ending
from evolver.run import Run
from evolver.summary import as_json, summarise


def sit(opened: Run, *, json_wanted: bool, wait: bool = True) -> None:
    """Search until the budget is spent, then print what was found. `wait`: for answers, too."""
    console = Console(stderr=True)
    out = Console()
    with exclusive(opened.folder):
        watcher = Watcher(opened, console)
        show.opening(console, opened)
        searching = assemble.search(opened, watcher, wait=wait)
        with watcher:
            ending = searching.go()
    summary = summarise(opened)
    if json_wanted:
        print(json.dumps(as_json(opened, summary) | {"ending": ending.value}, indent=2))  # noqa: T201
    else:
        show.summary(out, opened, summary, ending.value)
    if ending is Ending.INTERRUPTED:
        raise SystemExit(130)
