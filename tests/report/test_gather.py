"""A report is filled from an archive, and from nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from evolver.cli.main import app
from evolver.report.gather import gather
from evolver.run import reopen

from .conftest import record


def test_search_alone_is_read_and_said(folder: Path) -> None:
    data = gather(reopen(folder))
    assert (data.winner, data.baseline, data.baselines) == (3, 0, frozenset({0, 1}))
    assert [contest.part for contest in data.contests] == ["search"]
    assert data.contests[0].difference is not None
    assert data.contests[0].difference.value == pytest.approx(0.03, abs=1e-6)
    assert set(data.intervals) == {0, 1, 3}
    assert data.slices[0].name == "known users"
    assert data.cost.sandbox_seconds == 8.0
    assert data.warnings == ("few users",)
    assert not reopen(folder).archive.readings("test")


def test_a_sealed_reading_is_shown_with_its_history(folder: Path) -> None:
    run = reopen(folder)
    run.archive.read_part("test", [3, 0], who="me", why="export", forced=False)
    record(run.archive, 3, 0.32, "test")
    record(run.archive, 0, 0.31, "test")
    data = gather(run)
    assert [contest.part for contest in data.contests] == ["search", "test"]
    assert data.contests[1].readings == 1
    run.archive.read_part("test", [1, 0], who="me", why="again", forced=True)
    data = gather(run)
    assert data.contests[1].forced
    assert "read 2 times" in data.warnings[0]
    assert "read for #1, #0, not for the winner" in data.warnings[1]


@pytest.mark.parametrize(("name", "starts"), [("r.html", "<!doctype html>"), ("r.md", "## ")])
def test_the_command_writes_a_file(folder: Path, tmp_path: Path, name: str, starts: str) -> None:
    out = tmp_path / "new" / name
    done = CliRunner().invoke(app, ["report", str(folder), "-o", str(out), "--json"])
    assert done.exit_code == 0, done.output
    assert out.read_text("utf-8").startswith(starts)
    assert json.loads(done.stdout)["report"] == str(out)
    assert "better" in json.loads(done.stdout)["headline"]


def test_other_endings_are_refused(folder: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["report", str(folder), "-o", str(tmp_path / "r.pdf")])
    assert "ends in .html" in str(done.exception)
