"""What the terminal shows: fits, reads without colour, and nothing foreign acts."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.console import Console, RenderableType

from evolver.report import terminal
from evolver.report.data import ReportData

from .conftest import HOSTILE

Make = Callable[..., ReportData]


def shown(renderable: RenderableType, width: int = 80, colour: bool = False) -> str:
    stream = io.StringIO()
    system = "truecolor" if colour else None
    Console(
        file=stream, width=width, color_system=system, force_terminal=colour, legacy_windows=False
    ).print(renderable)
    return stream.getvalue()


def test_summary_says_the_verdict_and_what_next(make_run: Make) -> None:
    text = shown(terminal.summary(make_run(30), next_steps=["evolver export runs/x"]))
    assert "beats the best tuned baseline" in " ".join(text.split())
    assert "+0.0140 [0.0060, 0.0220]" in text
    assert text.rstrip().endswith("Next: evolver export runs/x")
    assert "27 scored, 4 failed" in text
    assert "and 17 more" in text


@pytest.mark.parametrize("width", [80, 120])
def test_every_line_fits(make_run: Make, width: int) -> None:
    data = make_run(30)
    for view in (
        terminal.summary(data),
        terminal.candidate_view(data, 30, logs={"stderr": "x" * 500}, source=True),
        terminal.compare_view(data, [30, 0, 1]),
        terminal.failure_table(data),
    ):
        assert max(len(line.rstrip()) for line in shown(view, width).splitlines()) <= width


def test_leaderboard_keeps_winner_and_baseline_in_sight(make_run: Make) -> None:
    data = make_run(30)
    worst_first = list(reversed(data.ranked))
    text = shown(terminal.leaderboard(data, limit=3, entries=worst_first))
    assert "winner" in text
    assert "best base" in text
    assert "0.3340 ±0.0060" in text


def test_candidate_view_has_idea_metrics_and_diff(make_run: Make) -> None:
    data = replace(
        make_run(30), comments={30: ["try it on cold"]}, standing={30: "approved, pinned"}
    )
    text = shown(terminal.candidate_view(data, 30, logs={"stdout": "epoch 1"}))
    assert "reviewed: approved, pinned" in text
    assert "What was taken last says most." in text
    assert "+         recent = history.multiply(self.decay)" in text
    assert "-         return users.matrix() @ self.weights" in text
    assert "+ damping = 80.0" in text
    assert "parent" in text
    assert "epoch 1" in text
    assert "comment: try it on cold" in text
    assert "lineage #30 ← #" in text


def test_a_failure_shows_its_reason(make_run: Make) -> None:
    text = shown(terminal.candidate_view(make_run(30), 3))
    assert "failed: invalid_output" in text
    assert "ValueError: shapes (3, 3) and (4,) differ" in text


def test_hostile_text_neither_acts_nor_is_markup(make_run: Make) -> None:
    evil = HOSTILE + "[bold red]markup[/bold red][link=http://x]l[/link]\x00\x0b\x0c"
    data = make_run(30, name=evil, idea=evil, reason=evil, source=evil)
    data = replace(data, comments={30: [evil]})
    for view in (
        terminal.summary(data, next_steps=[evil]),
        terminal.candidate_view(data, 30, logs={evil: evil}, source=True),
        terminal.candidate_view(data, 3),
    ):
        plain = shown(view, width=200)
        for character in "\x1b\x07\x9b\u202e\x00\x0b\x0c":
            assert character not in plain
        coloured = shown(view, width=200, colour=True)
        assert "\x1b]" not in coloured  # no title, no link
        assert "\x1b[2J" not in coloured
        assert "\u202e" not in coloured
    assert "[bold red]markup[/bold red]" in shown(terminal.candidate_view(data, 30), width=400)


def test_long_logs_say_what_is_missing() -> None:
    text = shown(terminal.log_text("a" * 5000))
    assert "[... 1000 characters before this ...]" in text


def test_an_empty_run_is_said_to_be_empty() -> None:
    data = ReportData(run="r", metric="ndcg@10", created="", evolver_version="", entries=())
    assert "Nothing has been measured yet" in shown(terminal.summary(data))
