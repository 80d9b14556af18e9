"""`evolver data inspect`: what is in the data, how it splits, what to beware of."""

from __future__ import annotations

import json
import shlex
import time
from typing import Any

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from evolver.cli import options
from evolver.cli.settings import column_kinds
from evolver.config import DataConfig, SplitConfig
from evolver.errors import DataError

app = typer.Typer(help="Look at data before evolving on it.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    pass


@app.command()
def inspect(
    *,
    path: options.DataPath = "",
    task: options.TaskOption = None,
    format: options.Format = "auto",  # noqa: A002 - becomes the flag's name
    user: options.UserColumn = None,
    item: options.ItemColumn = None,
    time_: options.TimeColumn = None,
    value: options.ValueColumn = None,
    min_value: options.MinValue = None,
    label: options.LabelColumn = None,
    column: options.ColumnKinds = None,
    split: options.SplitKindOption = "auto",
    repeats: options.Repeats = False,
    as_json: options.Json = False,
) -> None:
    """Show what is in the data: sizes, long tail, drift, cold starts, and what to beware of; of a
    labelled table (--task ranking) what each column holds and what the labels are like."""
    from evolver.kinds import task_named
    from evolver.run import PARTS_JUDGED

    what = task_named(task or "retrieval")
    config = DataConfig(
        path=path,
        format=format,
        user=user,
        item=item,
        time=time_,
        value=value,
        min_value=min_value,
        label=label,
        columns=column_kinds(column or []) or {},
    )
    started = time.monotonic()
    dataset = what.load(config)
    problem: DataError | None = None
    try:
        wanted = SplitConfig(kind=split, repeats=repeats)
        parts = what.split(dataset, wanted, 0)
        folds = {part: what.fold(dataset, parts, part, wanted) for part in PARTS_JUDGED}
        found = what.describe(dataset, parts, folds)
        cautions = what.warnings(dataset, parts, folds, found)
    except DataError as error:  # still show what can be seen without a split
        problem = error
        found, cautions = what.describe(dataset, None, {}), []
    seconds = time.monotonic() - started
    if as_json:
        report = {**found, "warnings": cautions, "error": None if problem is None else str(problem)}
        typer.echo(json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False))
    else:
        shown = show_table if what.name == "ranking" else show
        shown(Console(highlight=False, soft_wrap=False), found, cautions, seconds)
        if problem is None:
            words = ["evolver", "evolve", *options.data_flags(config, split, repeats)]
            words += ["--task", what.name] if what.name != "retrieval" else []
            typer.echo(f"Next: {shlex.join(words)}")
    if problem is not None:
        raise problem


def show(console: Console, found: dict[str, Any], cautions: list[str], seconds: float) -> None:
    """Print a profile, readable at 80 columns and without colour."""
    console.print(Text(f"{found['name']} (read in {seconds:.1f} s)", style="bold"))
    console.print(
        f"{found['rows']:,} rows, {found['users']:,} users, {found['items']:,} items; "
        f"{found['density']:.3%} of all pairs"
    )
    console.print(Padding(_facts(found), (1, 0, 0, 0), expand=False))
    if "parts" in found:
        console.print()
        console.print(Text(f"Split by {found['split']['kind']}", style="bold"))
        console.print(_parts(found))
    _remarks(console, found, cautions)


def show_table(
    console: Console, found: dict[str, Any], cautions: list[str], seconds: float
) -> None:
    """Print the profile of a labelled table, as `show` does one of interactions."""
    console.print(Text(f"{found['name']} (read in {seconds:.1f} s)", style="bold"))
    console.print(f"{found['rows']:,} rows, {found['positives']:.1%} of them positive in training")
    console.print()
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for heading in ("column", "holds", "values", ""):
        table.add_column(heading, justify="right" if heading == "values" else "left")
    roles = {name: role for role, name in found["roles"].items() if name is not None}
    for column in found["columns"]:
        values = f"{column['distinct']:,}" if "distinct" in column else ""
        role = roles.get(column["name"], "")
        table.add_row(Text(column["name"]), column["kind"], values, Text(_about(column, role)))
    console.print(table)
    if "parts" in found:
        console.print()
        console.print(Text(f"Split by {found['split']['kind']}", style="bold"))
        console.print(_table_parts(found["parts"]))
    _remarks(console, found, cautions)


def _about(column: dict[str, Any], role: str) -> str:
    """What stands out about one column of a labelled table."""
    parts = [f"the {role}"] if role else []
    if column["kind"] == "numeric":
        for low, middle, high in filter(None, [column["min_median_max"]]):
            parts.append(f"{low:g} to {high:g}, median {middle:g}")
        parts += [f"{column['missing']:.1%} missing"] * bool(column["missing"])
    elif column["kind"] == "categorical":
        parts.append(f"the commonest in {column['largest_share']:.0%} of rows")
        parts += [f"{column['once']:,} once"] * bool(column["once"])
    else:
        parts.append(f"{column['mean_length']:.1f} a row")
        parts += [f"values of {column['values_of']}"] * (column["values_of"] != column["name"])
    return "; ".join(parts)


def _table_parts(parts: dict[str, Any]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for number, heading in enumerate(("part", "rows", "positive", "users", "new users", "unknown")):
        table.add_column(heading, justify="right" if number else "left", no_wrap=True)
    for name, part in parts.items():
        cells = [f"{part['rows']:,}", f"{part['positives']:.1%}"]
        if name != "train":
            cells += [f"{part['queries']:,}", f"{part['unseen_users']:,}"]
            cells.append(f"{part['unseen_share']:.1%}")
        table.add_row(name, *cells)
    return table


def _remarks(console: Console, found: dict[str, Any], cautions: list[str]) -> None:
    notes = [*found["notes"], *found.get("split", {}).get("notes", [])]
    for title, lines, style in (("Notes", notes, ""), ("Beware", cautions, "yellow")):
        if lines:
            console.print()
            console.print(Text(title, style=f"bold {style}".strip()))
            for line in lines:
                console.print(Padding(_bullet(line), (0, 0, 0, 2), expand=False))
    console.print()


def _bullet(line: str) -> Table:
    grid = Table.grid(padding=(0, 1))
    grid.add_row("-", Text(line))
    return grid


def _facts(found: dict[str, Any]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column()
    for name, fact in _fact_rows(found):
        grid.add_row(name, Text(fact))
    return grid


def _fact_rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    tail, times, values, drift = (
        found.get(name) for name in ("long_tail", "times", "values", "drift")
    )
    rows = [
        ("rows a user", _spread(found["rows_per_user"])),
        ("rows an item", _spread(found["rows_per_item"])),
    ]
    if tail:
        one, ten = tail["share_of_top_1_percent"], tail["share_of_top_10_percent"]
        shares = f"the top 1% of items have {one:.0%} of rows, the top 10% {ten:.0%}"
        rows.append(("long tail", f"Gini {tail['gini']:.2f}; {shares}"))
    rows.append(("repeats", f"{found['repeat_rate']:.1%} of rows: the user had the item before"))
    if values:
        spread = f"{values['min']:g} to {values['max']:g}, mean {values['mean']:.3g}"
        rows.append(("values", spread))
    if "parts" in found:
        rows = [(f"{name} *", fact) for name, fact in rows]
        rows.append(("", "* measured on training rows"))
    if times:
        rows.append(("times", f"{times['first']} to {times['last']} ({times['days']:,.0f} days)"))
    else:
        rows.append(("times", "none; rows are in order" if found["ordered"] else "none, no order"))
    if drift:
        bits = f"{drift['jensen_shannon']:.2f} bits, {drift['by_chance']:.2f} by chance"
        kept = f"{drift['top_100_overlap']:.0%} of the top 100 stay from train to search"
        rows.append(("drift", f"{kept}; divergence {bits}"))
    for side in ("user", "item"):
        widths = found[f"{side}_features"]
        if widths:
            named = ", ".join(f"{name} ({width:,})" for name, width in widths.items())
            rows.append((f"{side} features", named))
    return rows


def _spread(spread: dict[str, float]) -> str:
    return (
        f"median {spread['p50']:,.0f}, middle 80% {spread['p10']:,.0f} to {spread['p90']:,.0f}, "
        f"most {spread['max']:,}"
    )


def _parts(found: dict[str, Any]) -> Table:
    brief = 10 if found["times"] and found["times"]["days"] > 60 else 16
    starts = [cutoff[:brief] for cutoff in found["split"]["cutoffs"]]
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("part", no_wrap=True)
    if starts:
        table.add_column("from", no_wrap=True)
    for name in ("rows", "users", "unseen", "labels", "cold users", "cold labels"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, part in found["parts"].items():
        start = ["" if name == "train" else starts.pop(0)] if found["split"]["cutoffs"] else []
        table.add_row(name, *start, f"{part['rows']:,}", *_part_cells(name, part))
    return table


def _part_cells(name: str, part: dict[str, Any]) -> list[str]:
    if name == "train":
        return []
    counts = ("queries", "unseen_users", "label_rows", "cold_users")
    return [*(f"{part[count]:,}" for count in counts), f"{part['cold_item_share']:.1%}"]
