"""Reads and rewrites what a candidate's file declares, without ever running it."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping
from functools import lru_cache

from evolver.core import Value
from evolver.syntax import parse


def with_defaults(source: str, values: Mapping[str, Value]) -> str:
    """`source` with the defaults of its TUNABLES set to `values`, all else untouched.

    So a child of a tuned candidate starts from the tuned numbers. A file that cannot be parsed
    comes back as it is.
    """
    if not values:
        return source
    try:
        tree = parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return source
    places = [
        (node.lineno, node.col_offset, node.end_lineno or 0, node.end_col_offset or 0, values[name])
        for name, node in _defaults(tree).items()
        if name in values
    ]
    lines = source.encode().splitlines(keepends=True)  # ast counts columns in bytes
    for line, start, end_line, end, value in sorted(places, key=lambda p: p[:4], reverse=True):
        if line == end_line:
            row = lines[line - 1]
            lines[line - 1] = row[:start] + repr(value).encode() + row[end:]
    return b"".join(lines).decode()


def _defaults(tree: ast.Module) -> dict[str, ast.expr]:
    """The expression of each tunable's default, by the tunable's name."""
    found: dict[str, ast.expr] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            targets, value = [node.target], node.value
        else:
            continue
        named = any(isinstance(t, ast.Name) and t.id == "TUNABLES" for t in targets)
        if not named or not isinstance(value, ast.Dict):
            continue
        for key, call in zip(value.keys, value.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(call, ast.Call):
                for keyword in call.keywords:
                    if keyword.arg == "default":
                        found[str(key.value)] = keyword.value
    return found


_SECTIONS = {
    "retrieval": "A retrieval candidate",
    "ranking": "A ranking candidate",
    "reranking": "A re-ranking candidate",
}
"""How a section of the contract's words that is about one task begins."""
_GIVEN = {
    "retrieval": {"Interactions", "Users"},
    "ranking": {"Table", "Lists"},
    "reranking": {"Ranked", "Users"},
}
"""Classes that candidates for one task are given, and for no other."""


@lru_cache(maxsize=4)
def outline(source: str, *tasks: str) -> str:
    """Our own contract file as a reference for these tasks: its words, fields and signatures,
    without bodies."""
    tree = parse(source)
    parts = [f'"""{_words(ast.get_docstring(tree) or "", tasks)}\n"""']
    others = set().union(*_GIVEN.values()).difference(*(_GIVEN[task] for task in tasks))
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name not in others:
            node.body = [_without_body(n) for n in node.body if not _private(n)]
            parts.append(ast.unparse(node))
    return "\n\n".join(parts)


def _words(text: str, tasks: Collection[str]) -> str:
    """What is said of the contract; of a section that is about no task of these nothing."""
    kept, hidden = [], False
    for paragraph in text.split("\n\n"):
        about = next((t for t, start in _SECTIONS.items() if paragraph.startswith(start)), None)
        if about is not None or not paragraph.startswith(" "):
            hidden = about is not None and about not in tasks
        if not hidden:
            kept.append(paragraph)
    return "\n\n".join(kept)


def _private(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef) and node.name.startswith("_")


def _without_body(node: ast.stmt) -> ast.stmt:
    if isinstance(node, ast.FunctionDef):
        described = ast.get_docstring(node) is not None
        node.body = node.body[:1] if described else [ast.Expr(ast.Constant(...))]
    return node
