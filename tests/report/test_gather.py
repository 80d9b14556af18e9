"""A report is filled from an archive, and from nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from evolver.archive.store import Archive
from evolver.cli.main import app
from evolver.config import RunConfig
from evolver.core import Candidate, Completed, Execution, Failed, Limits, PartName, Scored
from evolver.propose import baselines
from evolver.report.gather import gather
from evolver.run import reopen

USERS = 40


def scored(value: float) -> Scored:
    spread = np.linspace(-0.1, 0.1, USERS)
    return Scored(
        metrics={"ndcg@10": value, "ndcg@10[known]": value + 0.01, "coverage": 0.5},
        per_user={"ndcg@10": (value + spread).astype(np.float32)},
        fit_seconds=1.0,
        score_seconds=0.1,
        latency_ms_p50=0.3,
        latency_ms_p99=0.9,
        parameters=10,
        peak_bytes=1 << 20,
    )


def add(archive: Archive, number: int, value: float | None, part: PartName = "search") -> None:
    outcome = Completed(
        lists=np.zeros((1, 1), dtype=np.int32),
        fit_seconds=1.0,
        score_seconds=0.1,
        latency_ms=np.ones(1),
        parameters=1,
        peak_bytes=1,
    )
    failed = Failed(kind="crash", reason="ValueError: no")
    archive.add(
        number,
        failed if value is None else scored(value),
        execution=Execution(outcome=failed if value is None else outcome, seconds=2.0),
        part=part,
        seed=0,
        limits=Limits(),
        evaluator="1",
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run of four: two trials of a baseline, one failure, one better candidate."""
    place = tmp_path / "2026-01-02-abc"
    place.mkdir()
    config = RunConfig()
    facts = {
        "config": config.model_dump(mode="json"),
        "plan": {"workers": 1, "threads": 1, "lag": 1, "baseline_slots": 2, "device": "cpu"},
        "dataset": {"name": "shop", "fingerprint": "f" * 16},
        "split": {"kind": "time", "fingerprint": "e" * 16},
        "profile": {
            "users": 100,
            "items": 50,
            "rows": 1000,
            "parts": {"search": {"queries": USERS}},
        },
        "warnings": ["few users"],
        "versions": {"evolver": "0", "git": ""},
    }
    archive = Archive.create(f"sqlite:///{place / 'archive.sqlite'}", facts, "ndcg@10")
    base = Candidate(source="a", name="EASE", proposer=baselines.PROPOSER)
    for number, candidate in enumerate(
        [
            base,
            Candidate(source="b", name="kNN", proposer=baselines.PROPOSER),
            Candidate(source="c", name="broken"),
            Candidate(source="d", name="better", parents=(base.id,)),
        ]
    ):
        archive.begin(number, candidate)
    for number, value in enumerate((0.30, 0.28, None, 0.33)):
        add(archive, number, value)
    archive.close()
    return place


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
    add(run.archive, 3, 0.32, "test")
    add(run.archive, 0, 0.31, "test")
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
