"""How the static checks say no: one line that names the place and what to write instead."""

from __future__ import annotations

import ast


class Refused(Exception):  # noqa: N818 - not an error of ours: it becomes a `Failed` value
    """A candidate breaks the contract. Never leaves `evolver.evaluate.check`."""

    def __init__(self, reason: str, node: ast.AST | None = None) -> None:
        line = getattr(node, "lineno", None)
        super().__init__(f"line {line}: {reason}" if line else reason)


def quote(value: object) -> str:
    """Text of a candidate, short and on one line."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
