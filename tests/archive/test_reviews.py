"""Reviews are rows; the latest counts; the selector heeds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from evolver.archive.reviews import Opinion, Review, Reviews, Steered, heeded, opinions
from evolver.archive.store import Archive
from evolver.core import Candidate, Entry, Failed
from evolver.errors import UsageError
from tests.propose.samples import scored

FAILED = Failed(kind="crash", reason="x")


def entry(number: int) -> Entry:
    return Entry(number=number, candidate=Candidate(source=str(number)), evaluation=scored(0.1))


@dataclass
class First:
    """Selects the first two of what it is shown, and remembers what that was."""

    seen: list[list[int]] = field(default_factory=list)

    def select(self, history: Sequence[Entry], seed: int) -> Sequence[Entry]:
        self.seen.append([e.number for e in history])
        return list(history[:2])


def test_reviews_are_kept_and_seen_by_other_processes(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'archive.sqlite'}"
    searching = Archive.create(url, {}, "ndcg@10")
    assert searching.reviews.all() == []
    reviewing = Archive.open(url)
    reviewing.reviews.add(3, "pin", who="me")
    reviewing.reviews.add(3, "comment", "  faster, please ", who="me")
    assert [(r.number, r.action, r.text) for r in searching.reviews.all()] == [
        (3, "pin", ""),
        (3, "comment", "faster, please"),
    ]
    assert searching.reviews.opinions()[3] == Opinion(pinned=True, comments=("faster, please",))


@pytest.mark.parametrize("text", ["", "  ", "x" * 2001])
def test_comments_have_words_and_an_end(tmp_path: Path, text: str) -> None:
    archive = Archive.create(f"sqlite:///{tmp_path / 'a.sqlite'}", {}, "ndcg@10")
    with pytest.raises(UsageError, match="comment"):
        Reviews.add(archive.reviews, 1, "comment", text)
    assert archive.reviews.all() == []


def test_the_latest_counts() -> None:
    said = [
        Review(number=1, action="approve"),
        Review(number=1, action="reject"),
        Review(number=1, action="pin"),
        Review(number=1, action="ban"),
        Review(number=2, action="comment", text="a"),
        Review(number=2, action="approve"),
        Review(number=2, action="clear"),
        Review(number=2, action="comment", text="b"),
    ]
    assert opinions(said) == {
        1: Opinion(verdict="reject", banned=True),
        2: Opinion(comments=("a", "b")),
    }
    assert opinions(said)[1].words == "rejected, banned"


def test_without_reviews_nothing_changes() -> None:
    inner = First()
    history = [entry(n) for n in range(4)]
    assert heeded(history, {}) == history
    assert Steered(inner).select(history, 5) == history[:2]


def test_banned_and_rejected_are_no_parents_and_pinned_take_turns() -> None:
    inner = First()
    said = {
        0: Opinion(banned=True),
        1: Opinion(verdict="reject"),
        3: Opinion(comments=("why?",)),
        5: Opinion(pinned=True, comments=("more of this",)),
    }
    steered = Steered(inner)
    before = [entry(n) for n in range(6)]
    history = heeded(before, said)
    odd = steered.select(history, 7)
    even = steered.select(history, 8)
    assert inner.seen[0] == [2, 3, 4, 5]
    assert [e.number for e in odd] == [2, 3]
    assert [e.number for e in even] == [5, 2, 3]
    assert even[0].remarks == ("more of this",)
    assert even[2].remarks == ("why?",)
    assert [e.standing for e in history] == ["barred", "barred", "", "", "", "pinned"]
    assert before[5].remarks == ()


def test_what_is_approved_is_a_parent_now_and_then_unless_it_failed() -> None:
    said = {4: Opinion(verdict="approve"), 5: Opinion(verdict="approve")}
    history = heeded([*(entry(n) for n in range(5)), replace(entry(5), evaluation=FAILED)], said)
    first = [Steered(First()).select(history, seed)[0].number for seed in range(8)]
    assert first == [0, 4, 0, 0, 0, 4, 0, 0]


def test_reasons_travel_with_a_verdict_and_stay_when_it_is_taken_back() -> None:
    said = [
        Review(number=1, action="reject", text="copies the popular"),
        Review(number=1, action="clear"),
    ]
    assert opinions(said) == {1: Opinion(comments=("reject: copies the popular",))}
