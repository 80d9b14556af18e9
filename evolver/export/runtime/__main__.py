"""The package on the command line: recommend, history, info, check."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from ._check import check
from ._recommender import Unknown, load

NAME = __package__ or "recommender"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns 0 done, 1 check failed, 2 cannot serve or bad usage."""
    arguments = _parser().parse_args(argv)
    if arguments.command == "check":
        parity = check()
        _show(
            {
                "users": parity.users,
                "k": parity.k,
                "identical": parity.identical,
                "rounded": parity.rounded,
                "different": parity.different,
                "passed": parity.passed,
            },
            [str(parity)],
            arguments.json,
        )
        return 0 if parity.passed else 1
    module = load()
    if arguments.command == "info":
        facts = {**module.facts, "users": len(module.users), "items": len(module.items)}
        facts["serves_unseen"] = module.serves_unseen
        _show(facts, [f"{name}: {_text(value)}" for name, value in facts.items()], arguments.json)
        return 0
    try:
        if arguments.command == "history":
            best = module.recommend_for_history(arguments.items, arguments.k)
            _show({"items": best}, [_text(item) for item in best], arguments.json)
            return 0
        unknown: Unknown = "error" if arguments.strict else "popular"
        lists = module.recommend_batch(arguments.users, arguments.k, unknown=unknown)
    except (KeyError, NotImplementedError, ValueError) as error:
        print(f"{NAME}: {error.args[0]}", file=sys.stderr)
        return 2
    rows = [
        {"user": user, "served_by": "model" if module.serves(user) else "popularity", "items": best}
        for user, best in zip(arguments.users, lists, strict=True)
    ]
    lines = []
    for row in rows:
        if len(rows) > 1:
            lines.append(f"# {_text(row['user'])}")
        lines += [_text(item) for item in row["items"]]
        if row["served_by"] == "popularity":
            print(
                f"{NAME}: {_text(row['user'])}: not served by the model; most popular items",
                file=sys.stderr,
            )
    _show({"recommendations": rows}, lines, arguments.json)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {NAME}", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    recommend = commands.add_parser("recommend", help="the best items for users in the data")
    recommend.add_argument("users", nargs="+", metavar="USER")
    recommend.add_argument("-k", type=int, default=10, help="how many items (default 10)")
    recommend.add_argument(
        "--strict", action="store_true", help="fail for a user the model cannot serve"
    )
    history = commands.add_parser("history", help="the best items for somebody new")
    history.add_argument("items", nargs="+", metavar="ITEM", help="what they took, oldest first")
    history.add_argument("-k", type=int, default=10, help="how many items (default 10)")
    info = commands.add_parser("info", help="what this package is and how it measured")
    parity = commands.add_parser("check", help="compare with the lists stored at export")
    for command in (recommend, history, info, parity):
        command.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _show(value: object, lines: list[str], as_json: bool) -> None:
    print(json.dumps(value, indent=2) if as_json else "\n".join(lines))


def _text(value: object) -> str:
    """One line that moves no cursor: ids are data, and data may hold anything."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text if text.isprintable() else ascii(text)


if __name__ == "__main__":
    raise SystemExit(main())
