"""`evolver compare` as a process of its own, with the real sandbox."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_evolve import write_data

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


def call(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "EVOLVER_CACHE": str(folder / "cache")}
    return subprocess.run(
        [sys.executable, "-m", "evolver", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )


def test_two_arms_two_seeds(tmp_path: Path) -> None:
    write_data(tmp_path)
    words = ["compare", "ratings.csv", "--arms", "random,tpe", "--seeds", "2", "-o", "out"]
    done = call(tmp_path, *words, "--candidates", "3", "--space", "linear", "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert "to show a difference at all takes --seeds 6" in done.stderr
    assert "tpe  random" in done.stdout
    assert "(the smallest p is 0.5); 6 seeds could" in " ".join(done.stdout.split())
    assert "<svg" in (tmp_path / "out" / "compare.html").read_text()
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert [len(run["best"]) for run in result["runs"]] == [1, 1, 1, 1]
    assert all(run["failed"] == {} and run["seconds"][-1] > 0 for run in result["runs"])
    one = call(tmp_path, "status", "out/runs/tpe-1", "--json")  # an ordinary run
    status = json.loads(one.stdout)
    assert status["scored"] == 3
    assert call(tmp_path, "compare", "--arms", "tpe,mailbox").stderr.startswith(
        "evolver: arm 'mailbox' would need somebody"
    )
