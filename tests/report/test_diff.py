"""A diff says what changed, whatever a candidate is made of, and in a bounded time."""

from __future__ import annotations

from evolver.core import Candidate
from evolver.report.diff import MOST_LINES, TOO_LONG, diff


def changes(before: list[str], after: list[str]) -> list[tuple[str, str]]:
    first, second = (Candidate(source="\n".join(lines)) for lines in (before, after))
    return [(line.kind, line.text) for line in diff(first, second)]


def test_what_changed_is_shown_with_what_lies_around() -> None:
    before = [f"line {n}" for n in range(20)]
    after = [*before[:10], "new", *before[11:]]
    assert changes(before, after) == [
        ("hunk", "lines 8-14 → 8-14"),
        *(("same", f"line {n}") for n in (7, 8, 9)),
        ("remove", "line 10"),
        ("add", "new"),
        *(("same", f"line {n}") for n in (11, 12, 13)),
    ]


def test_many_lines_that_are_alike_do_not_hold_it_up() -> None:
    half = TOO_LONG // 2
    found = changes(["x", ""] * (half // 2 - 1), ["", "x"] * (half // 2 - 1))
    assert found
    assert len(found) <= MOST_LINES + 1


def test_too_much_is_not_compared() -> None:
    assert changes(["x"] * TOO_LONG, ["y"]) == [("note", "10,001 lines are too many to compare")]
