"""One self-contained HTML file: no script, nothing fetched, every foreign word escaped."""

from __future__ import annotations

import base64
import hashlib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from evolver.core import Entry, Failed, Scored
from evolver.report.charts import LATENCY, SIZE, progress_chart, trade_off_chart
from evolver.report.data import ReportData
from evolver.report.diff import diff
from evolver.report.expected import authors, came_of, expectations
from evolver.report.finals import final_rows, name_of, rail_rows
from evolver.report.flow import draw_pipeline
from evolver.report.graph import family_tree
from evolver.report.verdict import shrinkage, verdict
from evolver.report.whom import calibration
from evolver.text import one_line, printable
from evolver.trials import terms

TEMPLATES = Path(__file__).resolve().parent / "templates"
FIRST_ROWS = 20
"""Rows of the leaderboard that are open from the start."""
MOST_SOURCE = 200_000
"""Characters of source that are shown."""
MOST_REASONS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the leaderboard."""

    rank: int
    entry: Entry
    scored: Scored
    interval: str
    mark: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One kind of failure: how often, and the first few distinct reasons with their candidates."""

    kind: str
    count: int
    reasons: list[tuple[str, int]]


def write_report(destination: Path, data: ReportData) -> Path:
    """Write the report and return its path. The file opens offline; missing folders are made."""
    destination = destination.expanduser()
    destination.parent.mkdir(parents=True, exist_ok=True)
    destination.write_text(render(data), encoding="utf-8")
    return destination


def render(data: ReportData) -> str:
    """The report as HTML. Its content security policy allows its own style sheet and no more."""
    environment = page_environment()
    style = environment.get_template("report.css").render()
    best = data.best
    parent = data.parent(best.number) if best is not None else None
    return environment.get_template("report.html.j2").render(
        data=data,
        style=Markup(style),
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        verdict=verdict(data),
        shrinkage=shrinkage(data),
        finals=final_rows(data),
        calibration=calibration(best),
        rails=[
            (name_of(data, judged.number), rows)
            for judged in (() if data.gate is None else data.gate.judged)
            if (rows := rail_rows(judged))
        ],
        terms=terms(data.trials),
        charts=[
            chart
            for chart in (
                progress_chart(data),
                *(trade_off_chart(data, price) for price in (LATENCY, SIZE)),
            )
            if chart
        ],
        graph=family_tree(data),
        flow=None if data.pipeline is None else draw_pipeline(data.pipeline),
        rows=leaderboard(data),
        first_rows=FIRST_ROWS,
        other_metrics=other_metrics(data),
        failures=failures(data),
        authors=authors(data),
        expectations=expectations(data),
        came=came_of(data, best) if best else "",
        best=best,
        parent=parent,
        changes=diff(parent.candidate, best.candidate) if best and parent else [],
        code=code(best.candidate.source) if best else "",
        lineage=data.lineage(best.number) if best else [],
    )


def leaderboard(data: ReportData) -> list[Row]:
    """Every scored candidate, best first."""
    rows: list[Row] = []
    for rank, entry in enumerate(data.ranked, 1):
        if not isinstance(entry.evaluation, Scored):
            continue
        marks = (
            (entry.number == data.winner, "winner"),
            (entry.number == data.baseline, "best tuned baseline"),
            (entry.number in data.baselines, "baseline"),
        )
        rows.append(
            Row(
                rank=rank,
                entry=entry,
                scored=entry.evaluation,
                interval=data.figure(entry.number).interval,
                mark=next((mark for holds, mark in marks if holds), ""),
            )
        )
    return rows


def other_metrics(data: ReportData, most: int = 3) -> list[str]:
    """Names of further metrics for the leaderboard: those that most candidates have."""
    first = data.ranked[0].evaluation if data.ranked else None
    if not isinstance(first, Scored):
        return []
    plain = [name for name in first.metrics if name != data.metric and "[" not in name]
    return plain[:most]


def failures(data: ReportData) -> list[Failure]:
    """Failures by kind, most frequent first."""
    kinds: dict[str, list[Entry]] = defaultdict(list)
    for entry in data.failed:
        if isinstance(entry.evaluation, Failed):
            kinds[entry.evaluation.kind].append(entry)
    found: list[Failure] = []
    for kind, entries in kinds.items():
        reasons: dict[str, int] = {}
        for entry in entries:
            if isinstance(entry.evaluation, Failed):
                reasons.setdefault(one_line(entry.evaluation.reason, 240), entry.number)
        found.append(
            Failure(kind=kind, count=len(entries), reasons=list(reasons.items())[:MOST_REASONS])
        )
    return sorted(found, key=lambda failure: -failure.count)


def page_environment(*folders: Path) -> jinja2.Environment:
    """Templates of pages, from these folders first: undefined names are errors, and every word is
    escaped that no filter vouches for."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([*folders, TEMPLATES]),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "line": _line,
        "printable": lambda text: printable(str(text)),
        "duration": duration,
        "size": size,
        "score": lambda value: "-" if value is None else f"{value:.4f}",
    }
    return environment


def _line(text: object, width: int = 80) -> str:
    return one_line(str(text), width)


def code(source: str) -> Markup:
    """Highlighted Python; Pygments escapes every token."""
    text = printable(source)
    cut = len(text) - MOST_SOURCE
    if cut > 0:
        text = f"{text[:MOST_SOURCE]}\n# {cut} more characters are not shown"
    formatter: Any = HtmlFormatter(nowrap=True, classprefix="t-")
    return Markup(highlight(text, PythonLexer(), formatter))


def duration(seconds: float) -> str:
    """Seconds as people say them: 0.42 s, 12 s, 3 min 5 s, 2 h 10 min."""
    if seconds < 10:
        return f"{seconds:.2f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def size(count: float) -> str:
    """Bytes as people say them."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
