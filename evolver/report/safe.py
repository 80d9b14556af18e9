"""Makes text from candidates safe to show; see `evolver.text`, where exports find it too."""

from __future__ import annotations

from evolver.text import code_span, fenced, one_line, printable

__all__ = ["code_span", "fenced", "one_line", "printable"]
