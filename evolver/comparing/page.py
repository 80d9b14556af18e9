"""A comparison as one self-contained page, and as Markdown."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from markupsafe import Markup

from evolver.comparing.charts import COLOURS, by_candidates, by_seconds, differences
from evolver.comparing.claims import all_claims, cautions, scope
from evolver.comparing.outcome import Result
from evolver.comparing.table import Grid, facts, grids
from evolver.report.html import page_environment
from evolver.text import code_span, one_line, plain_markdown

TEMPLATES = Path(__file__).resolve().parent / "templates"


def page(result: Result, command: str) -> str:
    """The comparison as HTML: no script, nothing fetched, every foreign word escaped."""
    environment = page_environment(TEMPLATES)
    style = environment.get_template("report.css").render()
    style += environment.get_template("compare.css").render(colours=COLOURS)
    charts = (by_candidates(result), by_seconds(result), differences(result))
    return environment.get_template("compare.html.j2").render(
        result=result,
        style=Markup(style),
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        claims=all_claims(result),
        shown=any(pair.shown for pair in result.pairs),
        cautions=cautions(result),
        scope=scope(result),
        charts=[chart for chart in charts if chart is not None],
        grids=grids(result),
        facts=facts(result),
        command=command,
    )


def markdown(result: Result, command: str) -> str:
    """The comparison for a pull request or a paper's appendix. Foreign text is quoted."""
    parts = ["\n".join(f"- {plain_markdown(line)}" for line in all_claims(result))]
    parts += [f"> **Note:** {plain_markdown(line)}" for line in cautions(result)]
    parts.append(plain_markdown(scope(result)))
    for grid in grids(result):
        parts += [f"**{plain_markdown(grid.title)}**", _table(grid), plain_markdown(grid.note)]
    terms = "; ".join(f"{key}: {one_line(text)}" for key, text in facts(result))
    parts += [f"Equal terms: {plain_markdown(terms)}.", f"To repeat it: {code_span(command)}"]
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(grid: Grid) -> str:
    def row(cells: tuple[str, ...]) -> str:
        return "| " + " | ".join(plain_markdown(cell) for cell in cells) + " |"

    head = row(tuple(name for name, _ in grid.columns))
    rule = "| " + " | ".join("---:" if side == ">" else "---" for _, side in grid.columns) + " |"
    return "\n".join([head, rule, *(row(cells) for cells in grid.rows)])
