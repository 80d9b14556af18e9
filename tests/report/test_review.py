"""Reviewing from the command line and by single letters."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from evolver.cli.desk import Desk
from evolver.cli.main import app
from evolver.errors import UsageError
from evolver.report.board import Board, find
from evolver.report.data import ReportData
from evolver.report.gather import gather
from evolver.run import reopen

runner = CliRunner()


def test_verdicts_and_comments_from_the_command_line(folder: Path) -> None:
    done = runner.invoke(
        app,
        [
            "review",
            str(folder),
            "--approve",
            "#3",
            "--pin",
            "3",
            "--ban",
            "best",
            "--ban",
            "1",
            "--comment",
            "3",
            "try \x1b[31mdecay",
            "--json",
        ],
    )
    assert done.exit_code == 0, done.output
    rows = {row["number"]: row for row in json.loads(done.stdout)["candidates"]}
    assert rows[3]["standing"] == "approved, banned"  # best is #3: the later word counts
    assert rows[3]["comments"] == ["try \x1b[31mdecay"]
    assert rows[1]["standing"] == "banned"
    assert rows[0]["standing"] == ""
    listed = runner.invoke(app, ["review", str(folder), "--reviewed"])
    assert "approved, banned" in listed.stdout
    assert "EASE" not in listed.stdout
    assert "\x1b" not in listed.stdout


def test_an_unknown_candidate_spoils_nothing(folder: Path) -> None:
    done = runner.invoke(app, ["review", str(folder), "--pin", "3", "--ban", "99"])
    assert isinstance(done.exception, UsageError)
    assert reopen(folder).archive.reviews.all() == []


def test_one_candidate_as_json_has_its_source(folder: Path) -> None:
    done = runner.invoke(app, ["review", str(folder), "--show", "2", "--json"])
    (row,) = json.loads(done.stdout)["candidates"]
    assert row["failed"] == "crash"
    assert row["source"] == "c"


def talk(folder: Path, *lines: str) -> str:
    stream = io.StringIO()
    desk = Desk(reopen(folder), Board(), 20, Console(file=stream, width=80, highlight=False))
    for line in lines:
        desk.obey(line.split())
    return stream.getvalue()


def test_letters_list_show_sort_compare_and_judge(folder: Path) -> None:
    said = talk(
        folder,
        "l",
        "3",
        "d 3 0",
        "f",
        "w nothing such",
        "w",
        "v failed",
        "v scored",
        "a 3",
        "c 3 good idea",
        "3",
    )
    assert "ValueError: no" in said
    assert "#0 parent, baseline" in said
    assert "Nothing to list" in said
    assert "reviewed: approved" in said
    assert "comment: good idea" in said
    assert said.index("reviewed: approved") > said.index("ValueError: no")


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("s colour", "cannot sort by"),
        ("v lost", "no state 'lost'"),
        ("77", "no candidate '77'"),
        ("a", "approve, reject"),
        ("c 3", "a comment needs words"),
        ("[red]", "no candidate '[red]'"),
    ],
)
def test_mistakes_are_said_and_forgiven(folder: Path, line: str, answer: str) -> None:
    said = talk(folder, line, "3")
    assert answer in said
    assert "better" in said


def test_boards_sort_and_filter(folder: Path) -> None:
    data = gather(reopen(folder))
    assert [e.number for e in Board().apply(data)] == [3, 0, 1]
    assert [e.number for e in Board(sort="number", baselines=False).apply(data)] == [3]
    assert [e.number for e in Board(proposer="baseline").apply(data)] == [0, 1]


def test_any_metric_sorts_from_high_to_low(make_run: Callable[..., ReportData]) -> None:
    data = make_run(30)
    numbers = [e.number for e in Board(sort="recall@20").apply(data)]
    assert numbers == [e.number for e in data.ranked]  # recall is 0.8 of the metric there
    assert Board(sort="recall@20").metric(data) == "recall@20"
    assert Board(sort="ndcg@10").metric(data) == ""
    with pytest.raises(UsageError, match=r"or a metric: coverage, ndcg@10, recall@20"):
        Board(sort="colour").apply(data)


def test_states_are_listed_and_what_has_no_score_comes_last(
    make_run: Callable[..., ReportData],
) -> None:
    data = make_run(30)
    failed = [e.number for e in data.failed]
    assert failed
    assert [e.number for e in Board(state="failed").apply(data)] == failed
    everybody = [e.number for e in Board(state="all", sort="latency").apply(data)]
    assert everybody[-len(failed) :] == failed
    assert len(everybody) == len(data.by_number)
    with pytest.raises(UsageError, match="one of scored, failed, stopped, all"):
        Board(state="lost").apply(data)


def test_failures_are_listed_with_reason_and_log_in_80_columns(folder: Path) -> None:
    said = runner.invoke(app, ["review", str(folder), "--state", "failed"], env={"COLUMNS": "80"})
    assert "#2 broken" in said.stdout
    assert "crash" in said.stdout
    assert "ValueError: no" in said.stdout
    assert f"evolver review {folder} --show 2" in said.stdout
    assert "\x1b" not in said.stdout
    listed = [line for line in said.stdout.splitlines() if not line.startswith("Next: ")]
    assert max(map(len, listed)) <= 80
    rows = json.loads(
        runner.invoke(app, ["review", str(folder), "--state", "all", "--json"]).stdout
    )["candidates"]
    assert [row["number"] for row in rows] == [3, 0, 1, 2]
    assert rows[-1]["reason"] == "ValueError: no"
    assert "log" in rows[-1]
    assert "log" not in rows[0]


def test_a_further_metric_is_shown_when_sorted_by_it(folder: Path) -> None:
    said = runner.invoke(app, ["review", str(folder), "--sort", "coverage"], env={"COLUMNS": "80"})
    assert "coverage" in said.stdout.splitlines()[0]
    assert "0.5000" in said.stdout
    assert max(map(len, said.stdout.splitlines())) <= 80


def test_candidates_are_found_by_number_id_and_role(folder: Path) -> None:
    data = gather(reopen(folder))
    for wanted in ("3", "#3", "best", data.by_number[3].candidate.id[:6]):
        assert find(data, wanted).number == 3
    for wanted in ("", "#", "4", "zzzz", "²"):
        with pytest.raises(UsageError, match="no candidate"):
            find(data, wanted)


def test_export_table(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "t.csv"
    done = runner.invoke(app, ["export-table", str(folder), "-o", str(out)])
    assert done.exit_code == 0, done.output
    assert "wrote 4 candidates" in done.stdout
    assert len(out.read_text().splitlines()) == 5
