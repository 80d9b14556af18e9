"""What a reviewer does at a terminal: list, look, compare, judge."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rich.console import Console

from evolver import run
from evolver.archive.reviews import Action, whoami
from evolver.core import Scored
from evolver.errors import UsageError
from evolver.report import terminal
from evolver.report.board import Board, as_rows, find
from evolver.report.data import ReportData
from evolver.report.diff import diff
from evolver.report.expected import came_of
from evolver.report.gather import gather
from evolver.report.whom import diagnosis, notes
from evolver.text import one_line

HELP = """\
NUMBER          show a candidate: idea, figures, diff, output   (also: best, baseline)
l               list again                     f              failures
s ORDER         sort by score, number, fit, latency, parameters, or a metric
w TEXT          only families with this text (w alone: all)
v STATE         list what is scored, failed, stopped, or all
d A B           compare two                    src N          full source
a N   r N       approve, reject (no parent, no example); words after N are the reason
p N   b N       pin (a preferred parent), ban; likewise
x N             take back                      c N TEXT       comment, for the next prompts
q               leave"""


class Desk:
    """One reviewer at one run. The archive is read again for each view: a search may go on."""

    def __init__(
        self, opened: run.Run, board: Board, limit: int, console: Console | None = None
    ) -> None:
        self._run = opened
        self._board = board
        self._limit = limit
        self._console = console or Console(highlight=False)
        self._commands: dict[str, Callable[..., None]] = {
            "l": self.leaders,
            "f": self.failures,
            "s": self.sort,
            "w": self.only,
            "v": self.view,
            "d": self.compare,
            "src": self.source,
            "a": lambda which, *words: self.judge("approve", which, " ".join(words)),
            "r": lambda which, *words: self.judge("reject", which, " ".join(words)),
            "p": lambda which, *words: self.judge("pin", which, " ".join(words)),
            "b": lambda which, *words: self.judge("ban", which, " ".join(words)),
            "x": lambda which: self.judge("clear", which),
            "c": lambda which, *words: self.judge("comment", which, " ".join(words)),
            "?": lambda: self._console.print(HELP, markup=False),
        }

    # --- views ----------------------------------------------------------------------------------

    def leaders(self) -> None:
        """The leaderboard, as sorted and filtered, and what has no score, where that is wanted."""
        data = self._data()
        entries, beside = self._board.apply(data), self._board.metric(data)
        scored = [entry for entry in entries if isinstance(entry.evaluation, Scored)]
        unscored = [entry for entry in entries if not isinstance(entry.evaluation, Scored)]
        if scored or not unscored:
            table = terminal.leaderboard(data, self._limit, scored, beside=beside)
            self._console.print(table)
        if unscored:
            self._console.print(terminal.unscored_table(unscored, self._limit))
            self._console.print(
                f"Next: evolver review {self._run.folder} --show {unscored[0].number}  (its log)",
                soft_wrap=True,
                markup=False,
            )

    def show(self, which: str, *, source: bool = False) -> None:
        """One candidate with its diff and what it printed."""
        data = self._data()
        entry = find(data, which)
        stdout, stderr = self._run.archive.output(entry.number)
        self._console.print(
            terminal.candidate_view(
                data,
                entry.number,
                logs={"stdout": stdout, "stderr": stderr},
                source=source,
                diagnosis=diagnosis(self._run, data, entry.number),
                notes=notes(self._run, data, entry.number),
            )
        )

    def source(self, which: str) -> None:
        """One candidate with its whole source."""
        self.show(which, source=True)

    def compare(self, first: str, second: str) -> None:
        """Two candidates side by side, and what differs in their code."""
        data = self._data()
        a, b = find(data, first), find(data, second)
        self._console.print(terminal.compare_view(data, [a.number, b.number]))
        self._console.print(f"\nfrom #{b.number} to #{a.number}", style="dim", markup=False)
        self._console.print(terminal.diff_text(diff(b.candidate, a.candidate)))

    def failures(self) -> None:
        """Failures by kind."""
        self._console.print(terminal.failure_table(self._data()))

    def sort(self, order: str) -> None:
        """Sort from now on."""
        self._change(sort=order)

    def only(self, *words: str) -> None:
        """Show only families with this text from now on."""
        self._change(family=" ".join(words))

    def view(self, state: str) -> None:
        """Show what is in this state from now on."""
        self._change(state=state)

    # --- judging --------------------------------------------------------------------------------

    def judge(self, action: Action, which: str, text: str = "") -> None:
        """Record one review."""
        self.judge_all([(action, which, text)])

    def judge_all(self, wanted: list[tuple[Action, str, str]]) -> None:
        """Record reviews; none is recorded where one of the candidates is not known."""
        if not wanted:
            return
        data = self._data()
        numbers = [find(data, which).number for _, which, _ in wanted]
        for number, (action, _, text) in zip(numbers, wanted, strict=True):
            self._run.archive.reviews.add(number, action, text, whoami())
        opinions = self._run.archive.reviews.opinions()
        said = Console(stderr=True, highlight=False, markup=False)
        for number in dict.fromkeys(numbers):
            opinion = opinions[number]
            name = one_line(data.by_number[number].candidate.name, 40)
            comments = f"; {len(opinion.comments)} comments" if opinion.comments else ""
            said.print(f"#{number} {name}: {opinion.words or 'no verdict'}{comments}")

    # --- talking --------------------------------------------------------------------------------

    def talk(self) -> None:
        """Read commands until `q` or the end of the input. A mistake is said and forgiven."""
        self._console.print("\nA number shows a candidate; ? lists the commands; q leaves.")
        while True:
            try:
                line = input("review> ").split()
            except EOFError:
                return
            if line and line[0] in ("q", "quit", "exit"):
                return
            if line:
                self.obey(line)

    def obey(self, words: list[str]) -> None:
        """Carry out one command."""
        command = self._commands.get(words[0])
        try:
            if command is None:
                self.show(" ".join(words))
            elif _fits(command, words[1:]):
                command(*words[1:])
            else:
                self._console.print(HELP, markup=False)
        except UsageError as error:
            self._console.print(str(error), style="yellow", markup=False)

    def as_json(self, show: str | None, compare: tuple[str, str] | None) -> dict[str, Any]:
        """What was asked for, as plain values."""
        data = self._data()
        entries = self._board.apply(data)[: self._limit]
        if show is not None or compare is not None:
            entries = [find(data, which) for which in (compare or (show or "best",))]
        rows = as_rows(data, entries)
        if show is None:
            for row, entry in zip(rows, entries, strict=True):
                if not isinstance(entry.evaluation, Scored):
                    row["log"] = self._run.archive.output(entry.number)[1][-terminal.MOST_LOG :]
        else:
            entry = entries[0]
            stdout, stderr = self._run.archive.output(entry.number)
            rows[0] |= {"idea": entry.candidate.idea, "source": entry.candidate.source}
            rows[0] |= {"expected": entry.candidate.expect, "came": came_of(data, entry)}
            rows[0] |= {"stdout": stdout, "stderr": stderr}
            told = diagnosis(self._run, data, entry.number)
            rows[0] |= {"diagnosis": None if told is None else told.as_data()}
            rows[0] |= {"notes": notes(self._run, data, entry.number)}
        return {
            "run": str(self._run.folder),
            "metric": data.metric,
            "winner": data.winner,
            "baseline": data.baseline,
            "failed": len(data.failed),
            "candidates": rows,
        }

    def _data(self) -> ReportData:

        self._run.archive.close()
        self._run = run.reopen(self._run.folder)
        return gather(self._run)

    def _change(self, **changed: Any) -> None:

        before = self._board
        self._board = replace(self._board, **changed)
        try:
            self.leaders()
        except UsageError:
            self._board = before
            raise


def _fits(command: Callable[..., None], words: list[str]) -> bool:
    try:
        inspect.signature(command).bind(*words)
    except TypeError:
        return False
    return True
