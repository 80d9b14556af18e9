"""Markdown for a pull request: foreign text cannot become markup."""

from __future__ import annotations

from collections.abc import Callable

from markdown_it import MarkdownIt

from evolver.report.data import ReportData
from evolver.report.markdown import markdown

from .conftest import HOSTILE

Make = Callable[..., ReportData]


def kinds(text: str) -> set[str]:
    found: set[str] = set()
    for token in MarkdownIt("gfm-like", {"linkify": False}).parse(text):
        found.add(token.type)
        found |= {child.type for child in token.children or ()}
    return found


def test_says_what_matters(make_run: Make) -> None:
    text = markdown(make_run(30))
    assert text.startswith("## Recency-weighted graph filter")
    assert "+0.0140 [0.0060, 0.0220]" in text
    assert "```diff" in text
    assert "$1.84 and 2 requests without a known price" in text
    assert "4 crash" in text or "crash" in text


def test_hostile_text_is_code(make_run: Make) -> None:
    evil = HOSTILE + " | `x` ``` [a](http://x) @somebody ![i](http://x) **b**\n# heading\n```\n- x"
    tame = kinds(markdown(make_run(30)))
    text = markdown(make_run(30, name=evil, idea=evil, reason=evil, source=evil))
    assert kinds(text) <= tame | {"text_special"}
    for character in ("\x1b", "\x07", "\x9b", "\u202e"):
        assert character not in text
