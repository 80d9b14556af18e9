"""The main job on real data: search, verdict, sealed test, export, and the package in a fresh venv.

    python -m benchmarks.first_light run DATA/ml-100k -- --metric ndcg@10 --candidates 30 --time 10m
    python -m benchmarks.first_light run DATA/ml-1m -- --split order --candidates 20 --time 15m
    python -m benchmarks.first_light write                  # the tables of docs/first-light.md

What follows `--` goes to `evolver evolve` as it is. The winner is exported, its package installed
with pip into a new virtual environment that has never seen evolver, and asked for the top ten of
the users that the sandbox was asked for: they must be the same lists.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

TABLES = Path(__file__).parent / "tables" / "first_light"
DOCS = Path(__file__).parents[1] / "docs" / "first-light.md"
BEGIN, END = "<!-- first light: begin -->", "<!-- first light: end -->"
PACKAGE = "first_light_package"


def evolver(*words: str) -> dict[str, Any]:
    """What a command of evolver says with --json. Its progress goes to our stderr."""
    command = [sys.executable, "-m", "evolver", *words, "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def in_fresh_venv(package: Path, place: Path) -> dict[str, Any]:
    """Install a package and what it asks for, nothing else, and let it compare its lists."""
    venv.create(place, with_pip=True)
    python = place / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", package], check=True)
    there = subprocess.run(
        [python, "-c", "import evolver"], cwd=place, capture_output=True, check=False
    )
    if there.returncode == 0:
        raise SystemExit("evolver can be imported in the fresh environment: this shows nothing")
    done = subprocess.run(
        [python, "-m", PACKAGE, "check", "--json"],
        cwd=place,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def run(data: str, options: Sequence[str], keep: Path | None) -> None:
    """One whole job on one data set; writes its row."""
    with tempfile.TemporaryDirectory() as folder:
        place = (keep or Path(folder)) / "run"
        started = time.monotonic()
        evolver("evolve", data, *options, "--out", str(place))
        seconds = time.monotonic() - started
        status = evolver("status", str(place))
        package = Path(folder) / PACKAGE
        exported = evolver("export", str(place), "--out", str(package))
        check = in_fresh_venv(package, Path(folder) / "venv")
    name = Path(data).name
    row = {
        "data": name,
        "options": list(options),
        "date": datetime.now(UTC).date().isoformat(),
        "wall_seconds": round(seconds, 1),
        "cores": len(os.sched_getaffinity(0)),
        "status": {
            key: status[key]
            for key in ("metric", "users", "scored", "failed", "gain", "finals", "trials", "floor")
        },
        "baseline": _brief(status["baseline"]),
        "winner": _brief(status["leader"]),
        "challenger": _brief(status["challenger"]),
        "exported": {key: exported[key] for key in ("candidate", "test", "baseline", "gain")},
        "package": check,
    }
    TABLES.mkdir(parents=True, exist_ok=True)
    (TABLES / f"{name}.json").write_text(json.dumps(row, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(row, indent=1))


def _brief(row: dict[str, Any] | None) -> dict[str, Any] | None:
    kept = ("number", "name", "proposer", "metrics", "fit_seconds")
    return None if row is None else {key: row[key] for key in kept}


def write() -> None:
    """Render what was measured into docs/first-light.md, between its marks."""
    rows = [json.loads(path.read_text("utf-8")) for path in sorted(TABLES.glob("*.json"))]
    text = DOCS.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    DOCS.write_text(f"{before}{BEGIN}\n{''.join(map(_section, rows))}{END}{after}", "utf-8")


def _section(row: Mapping[str, Any]) -> str:
    status, metric = row["status"], row["status"]["metric"]
    failed = sum(status["failed"].values())
    lines = [
        f"\n### {row['data']}\n",
        f"`evolver evolve {' '.join([row['data'], *row['options']])}`\n",
        f"{row['date']}, {row['cores']} cores: {status['scored']} candidates scored, {failed} "
        f"failed, {row['wall_seconds'] / 60:.1f} minutes.\n",
        f"| | {metric} | of |",
        "| --- | ---: | --- |",
        _line("search part, best tuned baseline", row["baseline"], metric),
        _line("search part, best of the search", row["challenger"], metric),
        _line("search part, winner", row["winner"], metric),
    ]
    test, baseline = row["exported"]["test"], row["exported"]["baseline"]
    lines.append(f"| sealed test, what was exported | {test[metric]:.4f} | |")
    if baseline is not None:
        of = f"| sealed test, beside it | {baseline['test'][metric]:.4f} | {baseline['name']} |"
        lines.append(of)
    gain = row["exported"]["gain"]
    if gain is not None:
        low, high = gain["low"], gain["high"]
        lines.append(f"| gain | {gain['difference']:+.4f} | [{low:+.4f}, {high:+.4f}] |")
    lines += [f"\n{judged['paragraph']}" for judged in status["finals"]["judged"]]
    lines.append(f"\n{same_lists(row['package'])}\n")
    return "\n".join(lines)


def same_lists(check: Mapping[str, Any]) -> str:
    """What a package said of its lists, in a sentence."""
    return (
        f"The package in a fresh environment: {check['identical']} of {check['users']} top-"
        f"{check['k']} lists are the same as in the sandbox."
    )


def parted(words: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Our own words, and those after `--`, which are for `evolver evolve`."""
    end = words.index("--") if "--" in words else len(words)
    return words[:end], words[end + 1 :]


def _line(label: str, found: Mapping[str, Any] | None, metric: str) -> str:
    if found is None:
        return f"| {label} | | none |"
    return f"| {label} | {found['metrics'][metric]:.4f} | {found['name']} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("run")
    one.add_argument("data")
    one.add_argument("--keep", type=Path, help="a folder that keeps the run")
    commands.add_parser("write")
    words, options = parted(sys.argv[1:])
    arguments = parser.parse_args(words)
    if arguments.command == "write":
        write()
    else:
        run(arguments.data, options, arguments.keep)


if __name__ == "__main__":
    main()
