"""Pipelines on real data: the start, the tuned single best retriever and what became of the start.

    python -m benchmarks.pipelines run DATA/ml-100k -- --candidates 60 --candidate-time 60s
    python -m benchmarks.pipelines run DATA/ml-1m --keep FOLDER -- --candidates 18
    python -m benchmarks.pipelines take RUN            # a run that has ended already
    python -m benchmarks.pipelines write               # the tables of docs/pipelines.md

What follows `--` goes to `evolver evolve --task pipeline` as it is. Half of the candidates tune
single retrievers on the same outer reward, half evolve the pipeline. The winner is exported, which
reads the sealed test, and its package is asked for its lists in a virtual environment that has
never seen evolver.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.first_light import PACKAGE, evolver, in_fresh_venv, parted, same_lists

TABLES = Path(__file__).parent / "tables" / "pipelines"
DOCS = Path(__file__).parents[1] / "docs" / "pipelines.md"
BEGIN, END = "<!-- pipelines: begin -->", "<!-- pipelines: end -->"
SIDES = ("start", "single best", "best pipeline")
PARTS = ("relevance", "diversity", "novelty", "coverage", "latency", "cost")


def run(data: str, options: Sequence[str], keep: Path | None) -> None:
    """One whole search on one data set; writes its row."""
    with tempfile.TemporaryDirectory() as folder:
        place = (keep or Path(folder)) / "run"
        evolver("evolve", data, "--task", "pipeline", *options, "--out", str(place))
        take(place, options)


def take(place: Path, options: Sequence[str]) -> None:
    """Export what a run found, check its package, and write the row."""
    status = evolver("status", str(place))
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / PACKAGE
        exported = evolver("export", str(place), "--out", str(package))
        check = in_fresh_venv(package, Path(folder) / "venv")
    config = json.loads((place / "config.json").read_text("utf-8"))
    name = Path(config["data"]["path"]).name
    row = {
        "data": name,
        "options": list(options),
        "date": datetime.now(UTC).date().isoformat(),
        "cores": len(os.sched_getaffinity(0)),
        "metric": status["metric"],
        "users": status["users"],
        "scored": status["scored"],
        "failed": sum(status["failed"].values()),
        "seconds": status["seconds"],
        "weights": config["evaluate"]["reward"]["weights"],
        "pipeline": status["pipeline"],
        "judged": [each["paragraph"] for each in status["finals"]["judged"]],
        "exported": {key: exported[key] for key in ("candidate", "test", "baseline", "gain")},
        "package": check,
    }
    TABLES.mkdir(parents=True, exist_ok=True)
    (TABLES / f"{name}.json").write_text(json.dumps(row, indent=1) + "\n", encoding="utf-8")
    print("\n".join(_section(row)))


def write() -> None:
    """Render what was measured into docs/pipelines.md, between its marks."""
    rows = [json.loads(path.read_text("utf-8")) for path in sorted(TABLES.glob("*.json"))]
    text = DOCS.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    told = "".join(f"{line}\n" for row in rows for line in _section(row))
    DOCS.write_text(f"{before}{BEGIN}\n{told}{END}{after}", "utf-8")


def _section(row: Mapping[str, Any]) -> Iterator[str]:
    yield f"### {row['data']}\n"
    command = " ".join([row["data"], "--task pipeline", *row["options"]])
    yield f"`evolver evolve {command}`\n"
    minutes = row["seconds"] / 60
    yield (
        f"{row['date']}, {row['cores']} cores: {row['scored']} candidates scored, {row['failed']} "
        f"failed, {minutes:.0f} minutes, judging included.\n"
    )
    yield from _sides(row)
    yield from _agents(row["pipeline"]["agents"])
    yield from (f"{line}\n" for line in (*row["pipeline"]["credits"], *row["judged"]))
    yield from (f"{line}\n" for line in row["pipeline"]["verdicts"])
    yield from _test(row)


def _sides(row: Mapping[str, Any]) -> Iterator[str]:
    sides, weights = row["pipeline"]["sides"], row["weights"]
    yield f"| search part, {row['users']:,} users | {' | '.join(SIDES)} |"
    yield "| --- | ---: | ---: | ---: |"
    yield f"| **{row['metric']}** | {_cells(sides, 'reward', '.4f')} |"
    for part in PARTS:
        weight = f", weight {weights[part]:g}" if weights.get(part) else ""
        unit = {"latency": " (ms for one user)", "cost": " (s)"}.get(part, "")
        yield f"| {part}{unit}{weight} | {_cells(sides, part, '.4f')} |"
    yield f"| trials | {_cells(sides, 'trials', 'd')} |"
    yield f"| seconds of its trials | {_cells(sides, 'seconds', '.0f')} |"
    yield f"| | {' | '.join(sides[name]['outline'] for name in SIDES)} |\n"


def _cells(sides: Mapping[str, Any], key: str, form: str) -> str:
    return " | ".join(format(sides[name][key], form) for name in SIDES)


def _agents(agents: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "| agent | stage | inner reward | Shapley | lost without it |"
    yield "| --- | --- | ---: | ---: | ---: |"
    for each in agents:
        numbers = (each["inner"], each["shapley"], each["leave_one_out"])
        told = " | ".join("-" if value is None else f"{value:+.4f}" for value in numbers)
        yield f"| {each['agent']} | {each['stage']} {each['items']} | {told} |"
    yield ""


def _test(row: Mapping[str, Any]) -> Iterator[str]:
    exported, metric = row["exported"], row["metric"]
    told = f"Sealed test: {exported['test'][metric]:.4f}"
    if exported["baseline"] is not None:
        beside = exported["baseline"]
        told += f" beside {beside['test'][metric]:.4f} of {beside['name']}"
    if exported["gain"] is not None:
        gain = exported["gain"]
        told += f", {gain['difference']:+.4f} [{gain['low']:+.4f}, {gain['high']:+.4f}]"
    yield f"{told}. {same_lists(row['package'])}\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("run")
    one.add_argument("data")
    one.add_argument("--keep", type=Path, help="a folder that keeps the run")
    ended = commands.add_parser("take")
    ended.add_argument("place", type=Path)
    commands.add_parser("write")
    words, options = parted(sys.argv[1:])
    arguments = parser.parse_args(words)
    if arguments.command == "write":
        write()
    elif arguments.command == "take":
        take(arguments.place, options)
    else:
        run(arguments.data, options, arguments.keep)


if __name__ == "__main__":
    main()
