"""Parses Python source from several threads."""

from __future__ import annotations

import ast
import threading
import warnings

_lock = threading.Lock()


def parse(source: str) -> ast.Module:
    """The syntax tree of a file, without a word about its style. Nothing of it is run.

    One at a time: `ast.parse` of CPython 3.11 counts its depth in one place for all threads and
    raises SystemError when two of them parse at once; silencing warnings is global, too.
    Raises SyntaxError or ValueError for what is no Python, RecursionError or MemoryError for what
    is nested too deeply.
    """
    with _lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(source)
