"""Parsing from several threads."""

from __future__ import annotations

import ast
from concurrent.futures import ThreadPoolExecutor

import pytest

from evolver import syntax
from evolver.resources import zoo


def test_threads_may_parse_at_once() -> None:
    sources = [path.read_text(encoding="utf-8") for path in sorted(zoo().glob("*.py"))] * 12
    with ThreadPoolExecutor(8) as pool:
        trees = list(pool.map(syntax.parse, sources))
    assert all(isinstance(tree, ast.Module) for tree in trees)


def test_a_parse_that_another_thread_disturbed_is_made_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, faults = ast.parse, iter([SystemError("recursion depth mismatch")] * 3)

    def disturbed(source: str) -> ast.Module:
        for fault in faults:
            raise fault
        return real(source)

    monkeypatch.setattr(ast, "parse", disturbed)
    assert ast.unparse(syntax.parse("x = 1")) == "x = 1"


def test_style_is_passed_over_and_faults_are_not() -> None:
    syntax.parse('x = "\\d"')  # a warning, and here warnings are errors
    with pytest.raises(SyntaxError):
        syntax.parse("def (")
