"""Options that several commands share, defined once."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from evolver.config import DataConfig

DATA = "Data"
BUDGET = "Budget"
WHO = "Who proposes"
MACHINE = "Machine"

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
        rich_help_panel=DATA,
    ),
]
UserColumn = Annotated[
    str | None,
    typer.Option("--user", metavar="COLUMN", help="Name or number (from 1).", rich_help_panel=DATA),
]
ItemColumn = Annotated[
    str | None,
    typer.Option("--item", metavar="COLUMN", help="Name or number (from 1).", rich_help_panel=DATA),
]
TimeColumn = Annotated[
    str | None,
    typer.Option(
        "--time",
        metavar="COLUMN",
        help='Seconds, ms, us, ns or dates; "none": leave it out.',
        rich_help_panel=DATA,
    ),
]
ValueColumn = Annotated[
    str | None,
    typer.Option(
        "--value",
        metavar="COLUMN",
        help='Rating or count; "none": leave it out.',
        rich_help_panel=DATA,
    ),
]
MinValue = Annotated[
    float | None,
    typer.Option(
        "--min-value",
        metavar="NUMBER",
        help="Rows with a smaller value are not interactions.",
        rich_help_panel=DATA,
    ),
]
TaskOption = Annotated[
    Literal["retrieval", "ranking", "reranking", "pipeline"] | None,
    typer.Option(
        "--task",
        help="retrieval: lists of items for users, from interactions (the default); ranking: "
        "probabilities, from labelled rows; reranking: another order of lists, from interactions; "
        "pipeline: lists by several agents, from recall to re-ranking, from interactions.",
        rich_help_panel=DATA,
    ),
]
LabelColumn = Annotated[
    str | None,
    typer.Option(
        "--label",
        metavar="COLUMN",
        help="For ranking: the column of 0 and 1 to predict.",
        rich_help_panel=DATA,
    ),
]
ColumnKinds = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        metavar="NAME=KIND",
        help="For ranking: categorical, numeric, multi (values with | between), sequence, "
        "sequence:OTHER (of the values of another column), or ignore; may be repeated.",
        rich_help_panel=DATA,
    ),
]
SplitKindOption = Annotated[
    Literal["auto", "time", "order", "published", "random"],
    typer.Option(
        "--split",
        metavar="KIND",
        help="How train, search, promotion and test are told apart: time, order (leave the last "
        "out), published, random; auto: published, else time, else order.",
        rich_help_panel=DATA,
    ),
]
Repeats = Annotated[
    bool,
    typer.Option(
        "--repeats",
        help="What a user already had may be recommended, and counts when taken again.",
        rich_help_panel=DATA,
    ),
]
Metric = Annotated[str | None, typer.Option(help="What to improve, such as ndcg@10.")]
KeepsRepeats = Annotated[
    bool | None,
    typer.Option(
        "--repeats/--no-repeats",
        help="May an item that the user already had be recommended again?",
        rich_help_panel=DATA,
    ),
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        help="An LLM as litellm names it, such as openai/gpt-5. May be repeated.",
        rich_help_panel=WHO,
    ),
]
ApiBase = Annotated[
    str | None,
    typer.Option(help="Where the LLM is served, for local servers.", rich_help_panel=WHO),
]
Spaces = Annotated[
    list[str] | None,
    typer.Option(
        help="A search space by name or file, may be repeated; default all bundled ones.",
        rich_help_panel=WHO,
    ),
]
SandboxKind = Annotated[
    str | None,
    typer.Option(
        help="auto, bubblewrap, docker, or unconfined (no protection).",
        rich_help_panel=MACHINE,
    ),
]
Workers = Annotated[
    int | None, typer.Option(help="Candidates side by side.", rich_help_panel=MACHINE)
]
Threads = Annotated[
    int | None, typer.Option(help="Threads of each candidate.", rich_help_panel=MACHINE)
]
CandidateTime = Annotated[
    str | None,
    typer.Option(
        help="Limit for one candidate, such as 2m; default from the size of the data.",
        rich_help_panel=MACHINE,
    ),
]
RereadTest = Annotated[
    bool,
    typer.Option(
        "--reread-test",
        help="Read the sealed test again for another candidate. Every report will show it.",
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
        ("--label", config.label, None),
        ("--split", split, "auto"),
        *(("--column", f"{name}={kind}", None) for name, kind in config.columns.items()),
    ):
        if value is not None and value != default:
            words += [flag, f"{value:g}" if isinstance(value, float) else str(value)]
    return [*words, "--repeats"] if repeats else words
