"""Is this the same program under another look?"""

from __future__ import annotations

import ast
import hashlib
import io
import re
import tokenize
from functools import lru_cache

from evolver.syntax import parse

SHINGLE = 5
"""So many tokens in a row are one piece of a program."""
_LOCAL = re.compile(r"local[0-9]{1,6}")

_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_Named = ast.FunctionDef | ast.AsyncFunctionDef | ast.ExceptHandler


def normalised_digest(source: str) -> str:
    """16 hexadecimal digits that ignore formatting, comments, docstrings, annotations and the
    names of a function's arguments and local variables.

    Equal digests mean the same program. Different ones may still be the same, written otherwise.
    Comparable within one version of Python. Source that cannot be parsed stands for itself.
    """
    try:
        text = ast.dump(_Normaliser().visit(parse(source)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        text = source
    return hashlib.sha256(text.encode("utf-8", errors="surrogatepass")).hexdigest()[:16]


def shingles(source: str) -> frozenset[tuple[str, ...]]:
    """The distinct runs of SHINGLE tokens of a program, formatting, comments, docstrings,
    annotations and local names left out (Broder 1997). Empty where it cannot be parsed.

    The Jaccard index of two such sets says how alike two programs are, from 0 to 1.
    """
    try:
        text = ast.unparse(ast.fix_missing_locations(_Normaliser().visit(parse(source))))
        found = tokenize.generate_tokens(io.StringIO(text).readline)
        tokens = [t.string for t in found if t.string.strip()]
    except (SyntaxError, ValueError, RecursionError, MemoryError, tokenize.TokenError):
        return frozenset()
    tokens = ["local" if _LOCAL.fullmatch(t) else t for t in tokens]
    return frozenset(zip(*(tokens[start:] for start in range(SHINGLE)), strict=False))


@lru_cache(maxsize=4096)
def program_digest(source: str) -> str:
    """16 hexadecimal digits like `normalised_digest`, that ignore the defaults of TUNABLES too.

    Equal ones mean one program with different settings.
    """
    try:
        tree = parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return normalised_digest(source)
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
        if any(isinstance(target, ast.Name) and target.id == "TUNABLES" for target in targets):
            for call in ast.walk(node):
                if isinstance(call, ast.keyword) and call.arg == "default":
                    call.value = ast.Constant(None)
    return normalised_digest(ast.unparse(tree))


class _Normaliser(ast.NodeTransformer):
    def __init__(self) -> None:
        self._names: dict[str, str] | None = None  # of the outermost function we are in

    def generic_visit(self, node: ast.AST) -> ast.AST:
        body = getattr(node, "body", None)
        if isinstance(body, list):
            kept = [statement for statement in body if not _only_text(statement)]
            node.body = kept or [ast.Pass()]  # type: ignore[attr-defined]
        return super().generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._function(node)

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        return self._function(node)

    def _function(self, node: _Function) -> ast.AST:
        outermost = self._names is None
        if outermost:
            self._names = {}
            for name in _local_names(node):
                self._names[name] = f"local{len(self._names)}"
        elif not isinstance(node, ast.Lambda):
            node.name = self._rename(node.name)
        if not isinstance(node, ast.Lambda):
            node.returns = None
        self.generic_visit(node)
        if outermost:
            self._names = None
        return node

    def _rename(self, name: str) -> str:
        return name if self._names is None else self._names.get(name, name)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        node.id = self._rename(node.id)
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.arg, node.annotation = self._rename(node.arg), None
        return node

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        node.name = None if node.name is None else self._rename(node.name)
        return self.generic_visit(node)

    def visit_alias(self, node: ast.alias) -> ast.AST:
        if self._names is not None:
            node.asname = self._rename(node.asname or node.name)
        return node

    def visit_Nonlocal(self, node: ast.Nonlocal) -> ast.AST:
        node.names = [self._rename(name) for name in node.names]
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        if node.value is None:
            return node
        return self.visit(ast.Assign(targets=[node.target], value=node.value))  # type: ignore[no-any-return]

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        node.kind = None  # u"text" is "text"
        return node


def _only_text(statement: ast.stmt) -> bool:
    value = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def _local_names(function: _Function) -> list[str]:
    """What is bound anywhere inside, in the order of the text, less what is declared global."""
    bound: dict[str, None] = {}
    shared: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.arg):
            bound[node.arg] = None
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            bound[node.id] = None
        elif isinstance(node, _Named) and node is not function and node.name:
            bound[node.name] = None
        elif isinstance(node, ast.alias):
            bound[node.asname or node.name.partition(".")[0]] = None
        elif isinstance(node, ast.Global):
            shared.update(node.names)
    return [name for name in bound if name not in shared]
