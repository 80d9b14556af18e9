"""Parses Python source from several threads."""

from __future__ import annotations

import ast
import threading
import warnings

_lock = threading.Lock()
_TRIES = 20


def parse(source: str) -> ast.Module:
    """The syntax tree of a file, without a word about its style. Nothing of it is run.

    Raises SyntaxError or ValueError for what is no Python, RecursionError or MemoryError for what
    is nested too deeply.
    """
    # CPython 3.11 counts the depth of a tree in one place for all threads: where a garbage
    # collection lets another thread parse meanwhile (numpy does, to read a file's header), it
    # raises SystemError. Silencing warnings is global, too, so one of ours parses at a time.
    with _lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(_TRIES):
            try:
                return ast.parse(source)
            except SystemError:
                continue
        return ast.parse(source)
