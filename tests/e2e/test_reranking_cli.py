"""Re-ranking from the bundled sample to a package: the real command and the real sandbox."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.test_cli import call

pytestmark = pytest.mark.slow

PIPELINE = """
agents: {neighbours: {stage: recall, program: zoo/item_knn}}
graph: {recall: {neighbours: 40}, head: 30}
"""


def test_from_the_sample_to_a_package_that_recommends(tmp_path: Path) -> None:
    (tmp_path / "lists.yaml").write_text(PIPELINE)
    run, out = tmp_path / "run", tmp_path / "my_recommender"
    (tmp_path / "quick.yaml").write_text("promote: {finalists: 0}\n")
    words = ["evolve", "--task", "reranking", "--pipeline", "lists.yaml", "--candidates", "2"]
    words += ["--config", "quick.yaml"]
    done = call(tmp_path, *words, "--out", run, "--workers", "1", "--threads", "1", "--json")
    found = json.loads(done.stdout)
    assert found["metric"] == "reward@10"
    assert (found["scored"], found["failed"]) == (2, {})
    assert "identity" in {row["name"] for row in found["leaderboard"] if row["baseline"]}
    assert {"reward.novelty", "reward.coverage", "ndcg@10"} <= set(found["leader"]["metrics"])
    (tmp_path / "lists.yaml").unlink()
    resumed = call(tmp_path, "resume", run, "--candidates", "3")
    told = resumed.stdout + resumed.stderr
    assert "3 scored" in told
    assert "identity #0" in told
    call(tmp_path, "report", run, "-o", "report.html")
    assert "neighbours → reranker" in (tmp_path / "report.html").read_text()
    call(tmp_path, "export", run, "-o", out)
    assert "lists identical to the measured ones" in module(out, "check")
    assert len(module(out, "recommend", "u0001", "-k", "5").split()) == 5


def module(place: Path, *words: str) -> str:
    """What the package prints, run from its folder."""
    done = subprocess.run(
        [sys.executable, "-m", place.name, *words],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(place)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_what_cannot_be_re_ranked_is_refused_in_one_line(tmp_path: Path) -> None:
    twice = PIPELINE.replace("graph: {", "graph: {reranking: mmr, ").replace(
        "agents: {", "agents: {mmr: {stage: reranking, program: zoo/mmr}, "
    )
    (tmp_path / "twice.yaml").write_text(twice)
    (tmp_path / "lists.yaml").write_text(PIPELINE)
    reranking = ("--task", "reranking")
    for words, said in (
        ((*reranking, "--pipeline", "twice.yaml"), "graph.reranking names 'mmr'"),
        ((*reranking, "--pipeline", "none.yaml"), "cannot read none.yaml"),
        ((*reranking, "--metric", "auc"), "auc"),
        (("--pipeline", "lists.yaml"), "--pipeline goes with --task reranking or --task pipeline"),
    ):
        done = call(tmp_path, "evolve", *words, "--out", tmp_path / "none", code=2)
        assert said in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert not (tmp_path / "none").exists()
