"""What candidates print cannot hide or act in a terminal, and is bounded."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from evolver.execute.text import Capture, harmless, shortened


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 漢字\tx\n", "plain é 漢字\tx\n"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("10%\r20%\r\n", "10%\n20%\n"),
        ("a\u202eb", "a\\u202eb"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("tag \U000e0041", "tag \\U000e0041"),
        ("\x9b31m\x00\x07", "\\x9b31m\\x00\\x07"),
    ],
)
def test_unseen_characters_are_spelled_out(text: str, shown: str) -> None:
    assert harmless(text) == shown


@given(st.text())
def test_harmless_text_stays_as_it_is(text: str) -> None:
    assert harmless(harmless(text)) == harmless(text)


@given(st.lists(st.binary(max_size=40)), st.integers(1, 20))
@example(parts=[b"\xc2\x80"], keep=1)
def test_capture_keeps_both_ends(parts: list[bytes], keep: int) -> None:
    whole = b"".join(parts)
    capture = Capture(keep=keep)
    for part in parts:
        capture.feed(part)
    assert capture.total == len(whole)
    if len(whole) <= 2 * keep:
        assert capture.text() == harmless(whole.decode("utf-8", errors="backslashreplace"))
    else:
        assert f"[... {len(whole) - 2 * keep} bytes cut ...]" in capture.text()


def test_shortened_says_what_went() -> None:
    assert shortened("a" * 5 + "b" * 5, 4) == "aa\n[... 6 characters cut ...]\nbb"
    assert shortened("abcd", 4) == "abcd"
