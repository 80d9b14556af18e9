"""What was expected of a candidate stands beside what came of it, wherever it is shown."""

from __future__ import annotations

import io

from rich.console import Console

from evolver.core import Entry, Failed, Stopped
from evolver.report import terminal
from evolver.report.data import ReportData
from evolver.report.expected import authors, came_of, expectations
from evolver.report.html import render
from evolver.report.markdown import markdown
from tests.report.conftest import HOSTILE, entry, scored

BASE = entry(0, scored(0.2), proposer="baseline")
OTHER = entry(1, scored(0.23), expect="more", model="openai/a")
CHILD = entry(
    2,
    scored(0.25),
    parents=(BASE.candidate.id, OTHER.candidate.id),
    expect="+0.01 for new users",
    author="coding agent",
    proposer="mailbox",
)
FAILED = entry(3, Failed(kind="crash", reason="no"), expect="much", author="coding agent")
STOPPED = entry(4, Stopped(fidelity="low", reason="poor"), expect="a little", model="openai/a")
UNUSABLE = entry(
    5,
    Failed(kind="contract", reason="no code in the reply"),
    source="",
    parents=(CHILD.candidate.id,),
    model="openai/a",
)


def data(*more: Entry) -> ReportData:
    return ReportData(
        run="r",
        metric="ndcg@10",
        created="now",
        evolver_version="0",
        entries=[BASE, OTHER, CHILD, FAILED, STOPPED, UNUSABLE, *more],
        baselines=frozenset({0}),
        winner=2,
        baseline=0,
    )


def shown(number: int) -> str:
    out = io.StringIO()
    Console(file=out, width=100).print(terminal.candidate_view(data(), number))
    return out.getvalue()


def test_what_came_is_the_gain_over_the_best_parent_or_how_it_ended() -> None:
    assert [(e.number, came) for e, came in expectations(data())] == [
        (1, "ndcg@10 0.2300"),
        (2, "+0.0200 over #1"),
        (3, "failed (crash)"),
        (4, "stopped before a whole training"),
    ]
    orphan = entry(6, scored(0.3), parents=("gone",))
    assert came_of(data(orphan), orphan) == "ndcg@10 0.3000"


def test_authors_are_models_and_those_who_name_themselves() -> None:
    assert authors(data()) == ["openai/a (3)", "coding agent (2)"]


def test_it_is_in_the_review_and_in_both_reports() -> None:
    told = shown(2)
    assert "expected: +0.01 for new users\nwhat came of it: +0.0200 over #1\n" in told
    assert "draft by mailbox (coding agent)" in told
    page = render(data())
    assert "What was expected, and what came of it" in page
    assert '<td class="name">+0.01 for new users</td><td>+0.0200 over #1</td>' in page
    assert "openai/a (3), coding agent (2)" in page
    text = markdown(data())
    assert "What came of it: +0.0200 over #1." in text
    assert "coding agent (2)" in text
    nobody = ReportData(
        run="r", metric="ndcg@10", created="now", evolver_version="0", entries=[BASE]
    )
    assert "What was expected" not in render(nobody)


def test_a_proposal_without_a_program_shows_no_change_to_its_parent() -> None:
    told = shown(5)
    assert "no code in the reply" in told
    assert "changes to" not in told


def test_foreign_words_are_shown_as_text() -> None:
    evil = entry(7, scored(0.4), expect=HOSTILE, author=HOSTILE)
    page = render(data(evil))
    assert "<script>alert(1)" not in page
    assert "onerror=alert(1)>" not in page
