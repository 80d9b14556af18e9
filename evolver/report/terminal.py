"""Rich renderables for runs and candidates: plain values in, nothing printed here.

Every word from a candidate goes through `printable` into a `Text`, so neither escape sequences nor
Rich markup act. Signs and words carry the meaning; colour only helps. Fits 80 columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from evolver.core import Entry, Failed, Scored, Stopped
from evolver.evaluate.diagnostics import Diagnostics
from evolver.report.data import Contest, Figure, ReportData
from evolver.report.diff import Line, diff
from evolver.report.expected import came_of
from evolver.report.finals import FinalRow, final_rows
from evolver.report.html import duration, failures, size
from evolver.report.verdict import verdict
from evolver.report.whom import calibration
from evolver.text import one_line, printable
from evolver.trials import Tuned, terms

_TONES = {"better": "bold green", "worse": "bold yellow", "unsure": "bold yellow", "none": "bold"}
_SIGNS = {"add": "green", "remove": "red", "hunk": "cyan", "note": "dim", "same": ""}
MOST_STOPPED = 5
MOST_LOG = 4000
"""Characters of captured output that are shown, from its end."""


def leaderboard(
    data: ReportData,
    limit: int | None = 15,
    entries: Sequence[Entry] | None = None,
    *,
    beside: str = "",
) -> RenderableType:
    """Scored candidates, best first unless `entries` gives another order; winner and baseline are
    shown even where they come after `limit`. `beside`: a further metric, in the place of the time
    to fit."""
    table = plain_table()
    table.add_column("rank", justify="right", no_wrap=True, min_width=4)
    table.add_column("candidate", min_width=12)  # may shrink; its cells do not wrap
    table.add_column(Text(data.metric), justify="right", no_wrap=True, min_width=14)
    table.add_column(Text(beside or "fit"), justify="right", no_wrap=True, min_width=7)
    table.add_column("1 user", justify="right", no_wrap=True, min_width=7)
    table.add_column("", no_wrap=True, min_width=9)
    ranks = {entry.number: rank for rank, entry in enumerate(data.ranked, 1)}
    listed = list(data.ranked if entries is None else entries)
    shown = 0
    for place, entry in enumerate(listed):
        marked = entry.number in (data.winner, data.baseline)
        if not isinstance(entry.evaluation, Scored):
            continue
        if limit is not None and place >= limit and not marked:
            continue
        shown += 1
        table.add_row(
            str(ranks[entry.number]),
            _title(entry),
            _short(data.figure(entry.number)),
            _metric(entry.evaluation, beside) or duration(entry.evaluation.fit_seconds),
            f"{entry.evaluation.latency_ms_p50:.2f} ms",
            _mark(data, entry.number),
            style="bold" if entry.number == data.winner else "",
        )
    if not shown:
        return Text("Nothing to list." if data.ranked else "No candidate has been scored yet.")
    left = len(listed) - shown
    return Group(table, Text(f"and {left} more", style="dim")) if left > 0 else table


def unscored_table(entries: Sequence[Entry], limit: int | None = None) -> RenderableType:
    """What failed or was stopped, one by one, with the whole reason."""
    table = plain_table()
    table.add_column("candidate", min_width=12, max_width=24)
    table.add_column("", no_wrap=True)
    table.add_column("reason", ratio=1, overflow="fold")
    unscored = [(e, e.evaluation) for e in entries if not isinstance(e.evaluation, Scored)]
    for entry, found in unscored[:limit]:
        kind = found.kind if isinstance(found, Failed) else "stopped"
        table.add_row(_title(entry), kind, Text(one_line(found.reason, 400)))
    left = len(unscored) - table.row_count
    return Group(table, Text(f"and {left} more", style="dim")) if left > 0 else table


def failure_table(data: ReportData) -> RenderableType:
    """Failures by kind with an example of each."""
    if not data.failed:
        return Text("No candidate failed.", style="dim")
    table = plain_table()
    table.add_column("failed", no_wrap=True)
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("for example", ratio=1, overflow="fold")
    for failure in failures(data):
        reason, number = failure.reasons[0]
        table.add_row(failure.kind, str(failure.count), Text(f"#{number}: {one_line(reason, 160)}"))
    return table


def stopped_table(data: ReportData) -> RenderableType:
    """What was not worth a whole training, with how far it came; the latest ones."""
    table = plain_table()
    table.add_column("stopped", no_wrap=True)
    table.add_column("", ratio=1, overflow="fold")
    for entry in data.stopped[-MOST_STOPPED:]:
        if isinstance(entry.evaluation, Stopped):
            table.add_row(_title(entry), Text(one_line(entry.evaluation.reason, 200)))
    left = len(data.stopped) - MOST_STOPPED
    return Group(table, Text(f"and {left} before these", style="dim")) if left > 0 else table


def summary(data: ReportData, *, next_steps: Sequence[str] = (), limit: int = 10) -> RenderableType:
    """How a run ended: leaderboard, verdict with its evidence, what it took, what to do next."""
    judged = verdict(data)
    parts: list[RenderableType] = [
        leaderboard(data, limit),
        Text("\n" + printable(judged.headline), style=_TONES[judged.tone]),
        *[Text(printable(line)) for line in judged.detail],
    ]
    parts += [Text(f"Warning: {printable(line)}", style="bold red") for line in data.warnings]
    rows = final_rows(data)
    if rows:
        parts += [Text(), finals_table(rows)]
    if data.contests:
        parts += [Text(), contest_table(data.contests, data.metric)]
    if data.trials:
        parts += [Text(), trials_table(data.trials), Text(printable(terms(data.trials)))]
    if data.stopped:
        parts += [Text(), stopped_table(data)]
    if data.failed:
        parts += [Text(), failure_table(data)]
    parts.append(Text("\n" + _spent(data), style="dim"))
    parts += [Text(f"Next: {printable(step)}", style="bold") for step in next_steps]
    return Group(*parts)


def finals_table(rows: Iterable[FinalRow]) -> Table:
    """The verdicts of the promotion gate, in the order in which they were given."""
    table = plain_table()
    table.add_column("finals", min_width=12)
    table.add_column("difference", justify="right", no_wrap=True)
    table.add_column("p", justify="right", no_wrap=True)
    table.add_column("allowed", justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for row in rows:
        style = "bold green" if row.decision == "promoted" else ""
        name = Text(row.name, no_wrap=True, overflow="ellipsis")
        verdict = Text(row.decision, style=style)
        table.add_row(name, row.difference, row.p_value, row.allowed, verdict)
    return table


def contest_table(contests: Iterable[Contest], metric: str) -> Table:
    """The winner beside the baseline on each part that was read."""
    table = plain_table()
    table.add_column("part", no_wrap=True)
    table.add_column(Text(f"winner {metric}"), justify="right")
    table.add_column("baseline", justify="right")
    table.add_column("difference", justify="right", no_wrap=True)
    for contest in contests:
        read = f" (read {contest.readings} times)" if contest.readings > 1 else ""
        table.add_row(
            Text(one_line(contest.part, 30) + read),
            _short(contest.winner),
            "-" if contest.baseline is None else _short(contest.baseline),
            "-" if contest.difference is None else _signed(contest.difference),
        )
    return table


def trials_table(trials: Iterable[Tuned]) -> Table:
    """How often the best programs were tried, and how much of a gain is the idea's."""
    table = plain_table()
    table.add_column("program", min_width=12)
    table.add_column("trials", justify="right", no_wrap=True)
    table.add_column("as proposed", justify="right", no_wrap=True)
    table.add_column("at its best", justify="right", no_wrap=True)
    table.add_column("idea", justify="right", no_wrap=True)
    table.add_column("tuning", justify="right", no_wrap=True)
    for row in trials:
        table.add_row(
            Text(one_line(f"#{row.number} {row.name}", 40), no_wrap=True, overflow="ellipsis"),
            f"{row.trials}" + (f" of {row.wanted}" if row.short else ""),
            f"{row.first:.4f}",
            f"{row.best:.4f}",
            "baseline" if row.idea is None else f"{row.idea:+.4f}",
            f"{row.tuning:+.4f}",
        )
    return table


def candidate_view(
    data: ReportData,
    number: int,
    *,
    logs: Mapping[str, str] | None = None,
    source: bool = False,
    diagnosis: Diagnostics | None = None,
    notes: Sequence[str] = (),
) -> RenderableType:
    """All about one candidate. logs: captured output by name; diagnosis: for whom it is good;
    notes: more to say of it. Raises KeyError if it is unknown."""
    entry = data.by_number[number]
    candidate = entry.candidate
    parts = _origin(data, entry)
    if isinstance(entry.evaluation, Failed):
        parts.append(Text(f"failed: {entry.evaluation.kind}", style="bold red"))
        parts.append(Text(printable(entry.evaluation.reason)))
    elif isinstance(entry.evaluation, Stopped):
        parts.append(Text(printable(entry.evaluation.reason), style="bold yellow"))
    else:
        parts += [compare_view(data, [number, *_rivals(data, number)]), Text()]
    if data.places.get(number):
        parts.append(Text(one_line(f"place: {data.places[number]}"), style="dim"))
    if diagnosis is not None:
        parts += [Text(str(diagnosis)), Text(calibration(entry), style="dim"), Text()]
    parts += [Text(printable(note)) for note in notes]
    if number in data.standing:
        parts.append(Text(f"reviewed: {data.standing[number]}", style="bold"))
    comments = data.comments.get(number, ())
    parts += [Text(f"comment: {one_line(comment)}") for comment in comments]
    parent = data.parent(number) if candidate.source else None
    if parent is not None:
        parts.append(Rule(Text(f"changes to #{parent.number}"), style="dim", align="left"))
        parts.append(diff_text(diff(parent.candidate, candidate)))
    if candidate.source and (source or parent is None):
        parts.append(Rule(Text("source"), style="dim", align="left"))
        parts.append(
            Syntax(
                printable(candidate.source), "python", word_wrap=True, background_color="default"
            )
        )
    for name, text in (logs or {}).items():
        if text.strip():
            parts.append(Rule(Text(one_line(name)), style="dim", align="left"))
            parts.append(log_text(text))
    return Group(*parts)


def _origin(data: ReportData, entry: Entry) -> list[RenderableType]:
    """Who made a candidate, of what, with which settings, and why."""
    candidate = entry.candidate
    parts: list[RenderableType] = [Rule(_title(entry), style="dim", align="left")]
    origin = f"{candidate.id}  {candidate.family}, {candidate.operator} by {candidate.proposer}"
    author = candidate.author or candidate.model
    if author:
        origin += f" ({author})"
    parts.append(Text(one_line(origin), style="dim"))
    if data.lineage(entry.number)[1:]:
        chain = " ← ".join(f"#{e.number}" for e in data.lineage(entry.number))
        parts.append(Text(f"lineage {chain}", style="dim"))
    if candidate.values:
        parts.append(Text(one_line(_settings(candidate.values))))
    if candidate.idea:
        parts.append(Padding(Text(printable(candidate.idea.strip()), style="italic"), (1, 2)))
    if candidate.expect:
        parts.append(Text(f"expected: {one_line(candidate.expect)}"))
        parts.append(Text(f"what came of it: {one_line(came_of(data, entry))}"))
    return parts


def compare_view(data: ReportData, numbers: Sequence[int]) -> Table:
    """Candidates side by side, metric by metric; the first one's advantage where there are two or
    more. Raises KeyError for an unknown number."""
    entries = [data.by_number[number] for number in numbers]
    table = plain_table()
    table.add_column("", no_wrap=True)
    for entry in entries:
        table.add_column(_role(data, entry, numbers[0]), justify="right")
    scored = [e.evaluation if isinstance(e.evaluation, Scored) else None for e in entries]
    names = list(dict.fromkeys(name for s in scored if s for name in s.metrics))
    first = scored[0]
    for name in sorted(names, key=lambda name: (name != data.metric, names.index(name))):
        cells: list[RenderableType] = []
        for place, other in enumerate(scored):
            mine = None if other is None else other.metrics.get(name)
            text = Text("-" if mine is None else f"{mine:.4f}")
            base = first.metrics.get(name) if first is not None else None
            if place and mine is not None and base is not None:
                text.append(f" ({base - mine:+.4f})", style="dim")
            cells.append(text)
        table.add_row(Text(one_line(name, 30)), *cells)
    table.add_section()
    for label, shown in _COSTS:
        table.add_row(label, *["-" if s is None else shown(s) for s in scored])
    return table


def diff_text(lines: Iterable[Line]) -> Text:
    """A diff with line numbers of the new text, signs, and colour where there is any."""
    text = Text()
    for line in lines:
        number = "" if line.new is None else str(line.new)
        text.append(f"{number:>5} {line.sign} {line.text}\n", style=_SIGNS[line.kind])
    text.right_crop(1)
    return text


def log_text(text: str) -> Text:
    """Captured output, safe to show; says how much of its beginning is left out."""
    shown = printable(text)
    if len(shown) <= MOST_LOG:
        return Text(shown.rstrip("\n"))
    cut = len(shown) - MOST_LOG
    return Text(f"[... {cut} characters before this ...]\n{shown[-MOST_LOG:]}".rstrip("\n"))


_COSTS: tuple[tuple[str, Callable[[Scored], str]], ...] = (
    ("fit", lambda s: duration(s.fit_seconds)),
    ("one user, p50", lambda s: f"{s.latency_ms_p50:.2f} ms"),
    ("one user, p99", lambda s: f"{s.latency_ms_p99:.2f} ms"),
    ("parameters", lambda s: f"{s.parameters:,}"),
    ("peak memory", lambda s: size(s.peak_bytes)),
    ("users not served", lambda s: f"{s.unserved:,}"),
)


def _rivals(data: ReportData, number: int) -> list[int]:
    parent = data.parent(number)
    found = [parent.number if parent is not None else None, data.baseline]
    return list(dict.fromkeys(n for n in found if n is not None and n != number))


def _role(data: ReportData, entry: Entry, first: int) -> Text:
    parent = data.parent(first)
    roles = ["parent"] if parent is not None and entry.number == parent.number else []
    roles += ["baseline"] if entry.number == data.baseline else []
    label = f"#{entry.number}"
    return Text(label if entry.number == first else f"{label} {', '.join(roles)}".rstrip())


def _title(entry: Entry) -> Text:
    name = one_line(entry.candidate.name, 60) or "candidate"
    number = f"#{entry.number} "
    return Text.assemble((number, "dim"), name, no_wrap=True, overflow="ellipsis")


def _mark(data: ReportData, number: int) -> str:
    role = "base" if number in data.baselines else ""
    role = "best base" if number == data.baseline else role
    role = "winner" if number == data.winner else role
    return ", ".join(part for part in (role, data.standing.get(number, "")) if part)


def _metric(scored: Scored, name: str) -> str:
    """One metric; nothing where none is asked for."""
    if not name:
        return ""
    value = scored.metrics.get(name)
    return "-" if value is None else f"{value:.4f}"


def plain_table() -> Table:
    """A table without a frame, as all of ours are."""
    return Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)


def _short(figure: Figure) -> str:
    """The number and half the width of its interval, the wider half where they differ."""
    if figure.low is None or figure.high is None:
        return f"{figure.value:.4f}"
    half = max(figure.high - figure.value, figure.value - figure.low)
    return f"{figure.value:.4f} ±{half:.4f}"


def _signed(figure: Figure) -> str:
    return f"{figure.value:+.4f} {figure.interval}".rstrip()


def _settings(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())


def _spent(data: ReportData) -> str:
    cost = data.cost
    stopped = f"{len(data.stopped)} stopped, " if data.stopped else ""
    counts = f"{len(data.ranked)} scored, {stopped}{len(data.failed)} failed"
    parts = [counts, duration(cost.wall_seconds)]
    if cost.requests:
        money = "unpriced" if cost.usd is None else f"${cost.usd:.2f}"
        parts.append(f"{cost.requests} model requests, {money}")
        if cost.usd is not None and cost.unpriced_requests:
            parts.append(f"{cost.unpriced_requests} of them unpriced")
    return ", ".join(parts)
