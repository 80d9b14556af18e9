"""The package on the command line: predict, info, check."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from ._check import check
from ._ranker import load

NAME = __package__ or "ranker"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns 0 done, 1 check failed, 2 cannot serve or bad usage."""
    arguments = _parser().parse_args(argv)
    if arguments.command == "check":
        parity = check()
        found = {"rows": parity.rows, "different": parity.different, "passed": parity.passed}
        print(json.dumps(found) if arguments.json else parity)
        return 0 if parity.passed else 1
    module = load()
    if arguments.command == "info":
        facts = {**module.facts, "columns": module.columns}
        lines = [f"{name}: {json.dumps(value)}" for name, value in facts.items()]
        print(json.dumps(facts, indent=2) if arguments.json else "\n".join(lines))
        return 0
    try:
        with Path(arguments.rows).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        print(f"{NAME}: {arguments.rows}: {error}", file=sys.stderr)
        return 2
    missing = [name for name in module.columns if rows and name not in rows[0]]
    if missing:
        print(f"{NAME}: no column {', '.join(missing)}: taken as empty", file=sys.stderr)
    found = module.predict(rows).tolist()
    print(json.dumps(found) if arguments.json else "\n".join(f"{each:.6f}" for each in found))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {NAME}", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    predict = commands.add_parser("predict", help="a probability for each row of a CSV file")
    predict.add_argument("rows", metavar="FILE.csv", help="with a header that names columns")
    info = commands.add_parser("info", help="what this package is and how it measured")
    parity = commands.add_parser("check", help="compare with what was stored at export")
    for command in (predict, info, parity):
        command.add_argument("--json", action="store_true", help="print JSON")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
