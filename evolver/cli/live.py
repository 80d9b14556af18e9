"""Shows a search while it runs: a live panel on a terminal, one line a candidate elsewhere."""

from __future__ import annotations

import threading
import time
from collections import Counter
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from evolver.archive.store import Added
from evolver.cli.words import duration
from evolver.core import Candidate, Entry, Failed, Fidelity, Scored, Stopped
from evolver.evolve import Event
from evolver.floor import Floor, floor_of
from evolver.report.safe import printable
from evolver.run import Run
from evolver.summary import is_baseline


class Watcher:
    """Takes events from the search's threads. Use as a context manager around the search."""

    def __init__(self, run: Run, console: Console) -> None:
        self._run = run
        self._console = console
        self._lock = threading.Lock()
        self._start = time.monotonic()
        self._before = run.archive.seconds_used()
        self._running: dict[int, tuple[Candidate, Fidelity, float]] = {}
        entries = run.archive.history()
        self._done = len(entries)
        self._here = 0
        self._failed = Counter(
            e.evaluation.kind for e in entries if isinstance(e.evaluation, Failed)
        )
        self._stopped = sum(isinstance(e.evaluation, Stopped) for e in entries)
        self._best = run.archive.best(entries)
        self._baseline = run.archive.best(e for e in entries if is_baseline(e))
        self._floor = floor_of(run)
        self._live: Live | None = None

    def __enter__(self) -> Watcher:
        if self._console.is_terminal:
            self._live = Live(
                get_renderable=self._panel, console=self._console, refresh_per_second=4
            )
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def __call__(self, event: Event) -> None:
        """Take note of one event."""
        with self._lock:
            if event.kind == "began":
                now = time.monotonic()
                self._running[event.number] = event.candidate, event.fidelity, now
                return
            self._running.pop(event.number, None)
            self._done += 1
            self._here += 1
            if isinstance(event.evaluation, Stopped):
                self._stopped += 1
            elif isinstance(event.evaluation, Failed):
                self._failed[event.evaluation.kind] += 1
            elif isinstance(event.evaluation, Scored):
                self._note(event, event.evaluation)
            line = self._line(event)
            if self._live is None:
                self._console.print(line, soft_wrap=True)
            else:
                self._live.console.print(line, no_wrap=True, overflow="ellipsis")

    def floored(self, floor: Floor | None) -> None:
        """Take note of the noise floor."""
        with self._lock:
            self._floor = floor
            line = Text(printable(str(floor)) if floor else "noise floor: not measured", "cyan")
            console = self._console if self._live is None else self._live.console
            console.print(line, soft_wrap=True)

    def _note(self, event: Event, scored: Scored) -> None:
        entry = Entry(number=event.number, candidate=event.candidate, evaluation=scored)
        value = scored.metrics[self._run.metric]
        if self._best is None or value > (self._best.score(self._run.metric) or 0.0):
            self._best = entry
        held = None if self._baseline is None else self._baseline.score(self._run.metric)
        if is_baseline(entry) and (held is None or value > held):
            self._baseline = entry

    def _line(self, event: Event) -> Text:
        line = Text(f"#{event.number:<4}")
        name = printable(event.candidate.name or event.candidate.family)[:28]
        line.append(f"{name:<28} ")
        line.append(f"{printable(event.candidate.proposer)[:12]:<12} ", "dim")
        if isinstance(event.evaluation, Failed):
            reason = printable(event.evaluation.reason.strip().splitlines()[-1])[:160]
            return line.append(f"{event.evaluation.kind}: ", "red").append(reason)
        if isinstance(event.evaluation, Stopped):
            return line.append(printable(event.evaluation.reason)[:160], "yellow")
        if event.evaluation is not None:
            value = event.evaluation.metrics[self._run.metric]
            better = event.added is Added.IMPROVED
            line.append(f"{value:.4f}", "bold green" if better else "")
            line.append(" ↑ " if better else "   ", "green")
            line.append(f"{event.seconds:6.1f} s" if event.seconds else "  known", "dim")
        return line

    def _panel(self) -> Group:
        with self._lock:
            total = self._run.config.budget.candidates
            used = self._before + time.monotonic() - self._start
            grid = Table.grid(padding=(0, 2))
            grid.add_column(style="dim", justify="right")
            grid.add_column()
            grid.add_row("candidates", self._bar(self._done, total))
            grid.add_row("", self._pace())
            limit = self._run.config.budget.seconds
            left = "" if limit is None else f", {duration(max(0.0, limit - used))} left"
            grid.add_row("time", f"{duration(used)}{left}")
            if self._run.config.propose.models:
                for label, spent in zip(("money", "tokens"), self._spent(), strict=True):
                    grid.add_row(label, spent)
            for label, entry in (("best", self._best), ("baseline", self._baseline)):
                if entry is not None:
                    value = entry.score(self._run.metric)
                    name = printable(entry.candidate.name or entry.candidate.family)
                    grid.add_row(label, f"{self._run.metric} {value:.4f}  #{entry.number} {name}")
            if self._floor is not None:
                grid.add_row(
                    "noise",
                    f"seeds ± {self._floor.noise.seed_deviation:.4f}; "
                    f"a gain counts from {self._floor.least:+.4f} on",
                )
            for number, (candidate, fidelity, since) in sorted(self._running.items()):
                name = printable(candidate.name or candidate.family)[:40]
                rung = "" if fidelity == "full" else f" ({fidelity})"
                grid.add_row("running", f"#{number} {name}{rung}  {time.monotonic() - since:.0f} s")
            return Group(Text(""), grid)

    def _bar(self, done: int, total: int) -> Table:
        bar = Table.grid(padding=(0, 1))
        bar.add_row(ProgressBar(total=total, completed=done, width=30), f"{done}/{total}")
        return bar

    def _pace(self) -> str:
        minutes = (time.monotonic() - self._start) / 60
        failed = ", ".join(f"{n} {kind}" for kind, n in self._failed.most_common())
        pace = f"{self._here / minutes:.1f} a minute" if self._here and minutes > 0.05 else "…"
        stopped = f"; {self._stopped} stopped early" if self._stopped else ""
        return f"{pace}{stopped}{'; failed: ' + failed if failed else ''}"

    def _spent(self) -> tuple[str, str]:
        """Dollars and tokens: used, and what is left where there is a limit."""
        usd, tokens, unpriced = self._run.archive.spent()
        budget = self._run.config.budget
        money, counted = f"${usd:.2f}", f"{tokens:,}"
        if budget.usd is not None:
            money += f" of ${budget.usd:.2f}, ${max(0.0, budget.usd - usd):.2f} left"
        if budget.tokens is not None:
            counted += f" of {budget.tokens:,}, {max(0, budget.tokens - tokens):,} left"
        return money + (f"; {unpriced} calls without a known price" if unpriced else ""), counted
