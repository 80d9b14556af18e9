"""Points a candidate's imports at the contract that is copied into its package.

Works on the positions that Python's own parser gives, so strings, comments and layout stay as
they are: only the import statements themselves change.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections.abc import Mapping

from evolver.errors import UsageError

CONTRACT = "evolver.contract"
SHIM = "_evolver"
"""Stands in for the name that a plain `import evolver.contract` binds."""


def vendored(source: str, also: Mapping[str, str] | None = None) -> str:
    """The source with its imports of `evolver.contract` made relative to its package.

    also: other modules of evolver that the package holds, each with its name there. Raises
    UsageError where it imports anything else of evolver, or is no Python at all.
    """
    try:
        tree = ast.parse(source)
        raw = source.encode("utf-8")
        encoding, _ = tokenize.detect_encoding(io.BytesIO(raw).readline)
    except (SyntaxError, ValueError) as error:
        raise UsageError(
            f"the candidate cannot be exported: not readable Python: {error}"
        ) from None
    if encoding not in {"utf-8", "utf-8-sig"}:
        raise UsageError(f"the candidate cannot be exported: it declares the encoding {encoding}")
    lines = raw.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    edits: list[tuple[int, int, bytes]] = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        first = starts[node.lineno - 1] + node.col_offset
        last = starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
        if isinstance(node, ast.ImportFrom):
            edit = _from(node, raw[first:last], {CONTRACT: "_contract", **(also or {})})
        else:
            edit = _plain(node, raw[first:last])
        if edit is not None:
            edits.append((first, last, edit))
    for first, last, new in sorted(edits, reverse=True):
        raw = raw[:first] + new + raw[last:]
    return raw.decode("utf-8")


def needs_shim(source: str) -> bool:
    """Whether the vendored source holds `from . import _evolver as evolver`."""
    return any(
        isinstance(node, ast.ImportFrom) and node.level == 1 and node.names[0].name == SHIM
        for node in ast.walk(ast.parse(source))
    )


def imported_roots(source: str) -> set[str]:
    """Top-level names of everything that the source imports, standard library left out."""
    roots: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            roots.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            roots.add(node.module.partition(".")[0])
    return roots - set(sys.stdlib_module_names)


def _from(node: ast.ImportFrom, statement: bytes, places: Mapping[str, str]) -> bytes | None:
    module = node.module or ""
    if node.level or module.partition(".")[0] != "evolver":
        return None
    if module in places:
        return _replace_module(statement, f".{places[module]}".encode())
    if module == "evolver" and [alias.name for alias in node.names] == ["contract"]:
        return f"from . import _contract as {node.names[0].asname or 'contract'}".encode()
    raise _foreign(node)


def _plain(node: ast.Import, statement: bytes) -> bytes | None:
    if not any(alias.name.partition(".")[0] == "evolver" for alias in node.names):
        return None
    parts: list[str] = []
    for alias in node.names:
        if alias.name == CONTRACT:
            bound = f"_contract as {alias.asname}" if alias.asname else f"{SHIM} as evolver"
            parts.append(f"from . import {bound}")
        elif alias.name.partition(".")[0] == "evolver":
            raise _foreign(node)
        else:
            parts.append(ast.unparse(ast.Import(names=[alias])))
    return "; ".join(parts).encode()


def _replace_module(statement: bytes, name: bytes) -> bytes:
    """Swap what stands between `from` and `import`, keeping names, comments and line breaks."""
    tokens = tokenize.tokenize(io.BytesIO(statement + b"\n").readline)
    keyword = next(t for t in tokens if t.type == tokenize.NAME and t.string == "import")
    lines = statement.splitlines(keepends=True)
    row, column = keyword.start  # counted in characters, not bytes
    before = sum(len(line) for line in lines[: row - 1])
    before += len(lines[row - 1].decode("utf-8")[:column].encode("utf-8"))
    return b"from " + name + b" " + statement[before:]


def _foreign(node: ast.Import | ast.ImportFrom) -> UsageError:
    return UsageError(
        f"the candidate cannot be exported: line {node.lineno} imports more of evolver than "
        f"evolver.contract: {ast.unparse(node)}"
    )
