"""What was stopped, and who was tuned how often, in every form of the report."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.console import Console

from evolver.core import Candidate, Entry, Stopped
from evolver.propose.context import result
from evolver.propose.effects import Effects
from evolver.report import terminal
from evolver.report.board import as_rows
from evolver.report.data import ReportData
from evolver.report.html import render
from evolver.report.markdown import markdown
from evolver.trials import Tuned

from .conftest import HOSTILE

Make = Callable[..., ReportData]
REASON = "stopped at low fidelity with ndcg@10 0.1031; 0.2000 was needed"


@pytest.fixture
def data(make_run: Make) -> ReportData:
    made = make_run(6)
    stopped = Entry(
        number=99,
        candidate=Candidate(source="x = 1", name=HOSTILE),
        evaluation=Stopped(
            fidelity="low",
            reason=REASON,
            scored=made.ranked[0].evaluation,  # type: ignore[arg-type]
        ),
    )
    base = Tuned(
        name="ease",
        number=1,
        baseline=True,
        trials=4,
        wanted=4,
        first=0.30,
        best=0.31,
        idea=None,
        tuning=0.01,
    )
    ours = replace(
        base, name=HOSTILE, number=3, baseline=False, trials=2, best=0.35, idea=-0.01, tuning=0.05
    )
    return replace(made, entries=[*made.entries, stopped], trials=(base, ours))


def on_terminal(data: ReportData, width: int = 80) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width, color_system=None).print(terminal.summary(data))
    return stream.getvalue()


def test_the_terminal_shows_both_and_fits(data: ReportData) -> None:
    text = on_terminal(data)
    flat = " ".join(text.split())
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "2 of 4" in flat
    assert "-0.0100" in flat
    assert "+0.0500" in flat
    assert "the budget did not go further" in flat
    assert "stopped at low fidelity with ndcg@10 0.1031" in flat
    assert "1 stopped" in flat


def test_html_and_markdown_show_both_as_text(data: ReportData) -> None:
    page = render(data)
    assert REASON in page
    assert "2 of 4" in page
    assert "Idea: the program as it was proposed" in page
    assert HOSTILE not in page
    text = markdown(data)
    assert "1 candidate was stopped" in text
    assert "| 2 of 4 | 0.3000 | 0.3500 | -0.0100 | +0.0500 |" in text


def test_a_stopped_candidate_is_on_no_leaderboard(data: ReportData) -> None:
    assert 99 not in {entry.number for entry in data.ranked}
    (row,) = as_rows(data, data.stopped)
    assert row["stopped"] == "low"
    assert row["rank"] is None
    assert "metrics" not in row


def test_prompts_say_that_it_was_stopped_and_where(data: ReportData) -> None:
    entry = data.stopped[0]
    said = result(entry, Effects("ndcg@10"), "ndcg@10")
    assert said.startswith("stopped at low fidelity, 0.")
    trained = replace(entry, evaluation=Stopped(fidelity="full", reason="step 3"))
    assert result(trained, Effects("ndcg@10"), "ndcg@10") == "stopped while training"
