"""One sitting of a run: search until the budget is spent, show it, print what was found."""

from __future__ import annotations

import json

from rich.console import Console
from rich.text import Text

from evolver import assemble
from evolver.archive.lock import exclusive
from evolver.cli import show
from evolver.cli.live import Watcher
from evolver.evolve import Clock, Ending
from evolver.finals import Finals
from evolver.report.safe import printable
from evolver.run import Run
from evolver.summary import as_json, summarise

_OVER = (Ending.CANDIDATES, Ending.TIME, Ending.MONEY, Ending.SATURATED)


def sit(opened: Run, *, json_wanted: bool, wait: bool = True) -> None:
    """Search until the budget is spent, judge the best, print what was found. `wait`: for answers,
    too."""
    console = Console(stderr=True)
    out = Console()
    with exclusive(opened.folder):
        watcher = Watcher(opened, console)
        show.opening(console, opened)
        searching = assemble.search(opened, watcher, wait=wait, floored=watcher.floored)
        with watcher:
            ending = searching.go()
        if ending in _OVER:
            interrupted = _finals(opened, searching.clock, ending, console)
            ending = Ending.INTERRUPTED if interrupted else ending
    summary = summarise(opened)
    if json_wanted:
        print(json.dumps(as_json(opened, summary) | {"ending": ending.value}, indent=2))  # noqa: T201
    else:
        show.summary(out, opened, summary, ending.value)
    if ending is Ending.INTERRUPTED:
        raise SystemExit(130)


def _finals(opened: Run, clock: Clock, ending: Ending, console: Console) -> bool:
    """Judge the best on the promotion part, within what is left of the time. Whether somebody
    pressed Ctrl-C; what was recorded until then stands."""

    def say(line: str) -> None:
        console.print(Text(printable(line)), soft_wrap=True)

    finals = Finals(
        opened, left=clock.left, say=say, tick=lambda: clock.tick(f"{ending.value}; finals begun")
    )
    try:
        outcome = finals.go()
    except KeyboardInterrupt:
        clock.tick(Ending.INTERRUPTED.value)
        return True
    clock.tick(ending.value)
    if outcome.unfinished:
        say(f"finals: {outcome.unfinished}; what is recorded stands")
    return False
