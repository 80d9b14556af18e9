"""Searchers that need no key, by the real command: killed, resumed, reported, exported."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.e2e.test_cli import call, command, environment, two_tastes

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["rl", "cmaes", "evolution", "random"])
def test_killed_resumed_reported_and_exported(name: str, tmp_path: Path) -> None:
    data = two_tastes(tmp_path / "ratings.csv", users=80)
    run, quick = tmp_path / "run", tmp_path / "quick.yaml"
    quick.write_text("promote: {finalists: 0}\n")
    words = ["evolve", data, "--proposer", name, "--space", "linear", "--out", run]
    words += ["--config", quick]
    child = subprocess.Popen(
        command(*words, "--candidates", "8", "--workers", "2"),
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert child.stderr is not None
    for line in child.stderr:
        if line.startswith("#5 "):  # the search has begun
            break
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stderr.close()
    found = json.loads(call(tmp_path, "resume", run, "--json").stdout)
    assert found["ending"] == "all candidates are done"
    assert found["failed"] == {}
    status = json.loads(call(tmp_path, "status", run, "--json", "--top", "100").stdout)
    proposers = [row["proposer"] for row in status["leaderboard"]]
    assert len(proposers) == 8
    assert name in proposers
    call(tmp_path, "report", run, "-o", tmp_path / "report.html")
    assert name in (tmp_path / "report.html").read_text()
    best = next(r["number"] for r in status["leaderboard"] if r["proposer"] == name)
    done = call(tmp_path, "export", run, "--candidate", str(best), "--out", tmp_path / "made")
    assert (tmp_path / "made" / "MODEL_CARD.md").exists()
    assert "sealed test: ndcg@10" in done.stdout
