"""Reviewing from the command line and by single letters."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from evolver.cli.desk import Desk
from evolver.cli.main import app
from evolver.errors import UsageError
from evolver.report.board import Board, find
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
    said = talk(folder, "l", "3", "d 3 0", "f", "w nothing such", "w", "a 3", "c 3 good idea", "3")
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
