"""Options that several commands share, defined once."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from evolver.config import DataConfig

_PANEL = "Data"

DataPath = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A file, a folder, or a known name (ml-100k, ml-1m, ml-20m); "
        "nothing for the bundled sample.",
    ),
]
Format = Annotated[
    Literal["auto", "csv", "parquet", "recbole", "movielens", "adjacency", "sequence"],
    typer.Option(
        "--format",
        metavar="FORMAT",
        help="auto, csv (any separator), parquet, recbole, movielens, adjacency (lists of items in "
        "no order), or sequence (rows or lists in order of time).",
        rich_help_panel=_PANEL,
    ),
]
UserColumn = Annotated[
    str | None,
    typer.Option(
        "--user", metavar="COLUMN", help="Name or number (from 1).", rich_help_panel=_PANEL
    ),
]
ItemColumn = Annotated[
    str | None,
    typer.Option(
        "--item", metavar="COLUMN", help="Name or number (from 1).", rich_help_panel=_PANEL
    ),
]
TimeColumn = Annotated[
    str | None,
    typer.Option(
        "--time",
        metavar="COLUMN",
        help='Seconds, ms, us, ns or dates; "none": leave it out.',
        rich_help_panel=_PANEL,
    ),
]
ValueColumn = Annotated[
    str | None,
    typer.Option(
        "--value",
        metavar="COLUMN",
        help='Rating or count; "none": leave it out.',
        rich_help_panel=_PANEL,
    ),
]
MinValue = Annotated[
    float | None,
    typer.Option(
        "--min-value",
        metavar="NUMBER",
        help="Rows with a smaller value are not interactions.",
        rich_help_panel=_PANEL,
    ),
]
SplitKindOption = Annotated[
    Literal["auto", "time", "order", "published", "random"],
    typer.Option(
        "--split",
        metavar="KIND",
        help="How train, search, promotion and test are told apart: time, order (leave the last "
        "out), published, random; auto: published, else time, else order.",
        rich_help_panel=_PANEL,
    ),
]
Repeats = Annotated[
    bool,
    typer.Option(
        "--repeats",
        help="What a user already had may be recommended, and counts when taken again.",
        rich_help_panel=_PANEL,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON to stdout and nothing else.")]


def data_flags(config: DataConfig, split: str = "auto", repeats: bool = False) -> list[str]:
    """The command-line words that give this configuration back, for "Next:" lines."""
    words = [config.path] if config.path else []
    defaults = DataConfig()
    for flag, value, default in (
        ("--format", config.format, defaults.format),
        ("--user", config.user, None),
        ("--item", config.item, None),
        ("--time", config.time, None),
        ("--value", config.value, None),
        ("--min-value", config.min_value, None),
        ("--split", split, "auto"),
    ):
        if value is not None and value != default:
            words += [flag, f"{value:g}" if isinstance(value, float) else str(value)]
    return [*words, "--repeats"] if repeats else words
