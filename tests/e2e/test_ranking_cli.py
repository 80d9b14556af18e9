"""Ranking from a file to a package: the real command and the real sandbox on a small table."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from evolver.data.labelled.sample import sample_frame
from tests.e2e.test_cli import call

pytestmark = pytest.mark.slow

COLUMNS = ("--column", "history=sequence:item")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("log") / "shop.csv"
    sample_frame(rows=2500, users=120, items=40).write_csv(place)
    return place


def test_from_a_table_to_a_package_that_predicts(data: Path, tmp_path: Path) -> None:
    told = call(tmp_path, "data", "inspect", data, "--task", "ranking", *COLUMNS).stdout
    assert "history" in told
    assert "sequence" in told
    assert "--task ranking" in told
    run = tmp_path / "run"
    words = ["evolve", data, "--task", "ranking", *COLUMNS, "--candidates", "3", "--out", run]
    done = call(tmp_path, *words, "--workers", "1", "--threads", "1", "--json")
    found = json.loads(done.stdout)
    assert found["metric"] == "auc"
    assert (found["scored"], found["failed"]) == (3, {})
    names = {row["name"] for row in found["leaderboard"] if row["baseline"]}
    assert names == {"logistic_regression", "fm"}
    assert all(0.5 < row["metrics"]["auc"] < 1 for row in found["leaderboard"])
    assert {"log_loss", "calibration_error", "gauc"} <= set(found["leader"]["metrics"])
    told = call(tmp_path, "status", run, "--candidate", "0").stdout
    assert "calibration_error" in told
    assert "training rows" in told
    call(tmp_path, "report", run, "-o", tmp_path / "report.html")
    assert "calibration_error" in (tmp_path / "report.html").read_text()
    call(tmp_path, "export", run, "-o", tmp_path / "my_ranker")
    check = subprocess.run(
        [sys.executable, "-m", "my_ranker", "check"],
        cwd=tmp_path / "my_ranker",
        env={**os.environ, "PYTHONPATH": str(tmp_path / "my_ranker")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert check.returncode == 0, check.stdout + check.stderr


def test_ways_to_search_are_compared_on_a_table(data: Path, tmp_path: Path) -> None:
    words = ["compare", data, "--task", "ranking", *COLUMNS, "--arms", "random,tpe", "--seeds", "1"]
    done = call(tmp_path, *words, "--candidates", "3", "--workers", "1", "--out", tmp_path / "out")
    assert "final auc" in done.stdout
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert [(run["label"], run["failed"]) for run in result["runs"]] == [
        ("random", {}),
        ("tpe", {}),
    ]
    assert all(0.5 < run["start"] <= run["best"][-1] < 1 for run in result["runs"])
    page = (tmp_path / "out" / "compare.md").read_text()
    assert "--column history=sequence:item --task ranking --arms random,tpe" in page


def test_a_table_that_cannot_be_ranked_is_refused_in_one_line(data: Path, tmp_path: Path) -> None:
    for words, said in (
        ((data, "--task", "ranking", "--label", "price"), "a label is 0 or 1"),
        ((data, "--task", "ranking", "--metric", "log_loss"), "--metric rig"),
        ((data, "--task", "ranking", "--column", "tags"), "write NAME=KIND"),
        ((data,), "--task ranking"),
    ):
        done = call(tmp_path, "evolve", *words, "--out", tmp_path / "none", code=2)
        assert said in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    words = (data, "--task", "ranking", "--space", "linear")
    done = call(tmp_path, "evolve", *words, "--out", tmp_path / "none", code=2)
    assert "holds models for retrieval" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "none").exists()
