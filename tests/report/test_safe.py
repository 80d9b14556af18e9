"""What comes from candidates moves no cursor and reorders no text."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolver.report.safe import code_span, fenced, one_line, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x1b]8;;http://x\x1b\\link", r"\x1b]8;;http://x\x1b\link"),
        ("a\x9b31mb", r"a\x9b31mb"),
        ("over\rwrite", r"over\x0dwrite"),
        ("back\x08space", r"back\x08space"),
        ("\u202eevil\u202c", r"\u202eevil\u202c"),
        ("\u2066isolate\u2069", r"\u2066isolate\u2069"),
        ("\u200bzero\ufeff", r"\u200bzero\ufeff"),
        ("tag\U000e0041", r"tag\U000e0041"),
        ("lone\ud800", r"lone\ud800"),
        ("two\u2028lines", r"two\u2028lines"),
        ("nul\0", r"nul\x00"),
        ("a\r\nb\tc\n", "a\nb    c\n"),
        ("naïve ☃ 日本 👩\u200d💻", "naïve ☃ 日本 👩\u200d💻"),
    ],
)
def test_control_and_bidi_characters_are_shown(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text(alphabet=st.characters()))
def test_what_is_left_is_harmless_and_encodable(text: str) -> None:
    shown = printable(text)
    shown.encode("utf-8")
    for character in shown:
        assert character == "\n" or unicodedata.category(character) not in {"Cc", "Zl", "Zp"}
        assert unicodedata.bidirectional(character) not in {
            "LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"
        }  # fmt: skip
    assert printable(shown) == shown


@given(st.text(), st.integers(1, 20))
def test_one_line_is_one_line_and_fits(text: str, width: int) -> None:
    line = one_line(text, width)
    assert len(line) <= width
    assert len(line.splitlines()) <= 1


def test_code_cannot_be_closed_from_inside() -> None:
    assert code_span("a ``b`` c") == "```a ``b`` c```"
    assert code_span("`") == "`` ` ``"
    assert code_span("a|b") == "`a|b`"
    assert code_span("a|b", cell=True) == "`a\\|b`"
    assert fenced("```\nx") == "````text\n```\nx\n````"
