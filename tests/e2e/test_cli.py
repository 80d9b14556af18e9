"""The real command, the real sandbox, small data: what a user does on the first day."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


def command(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "evolver", *map(str, words)]


def call(folder: Path, *words: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command(*words),
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "EVOLVER_CACHE": str(folder / "cache")}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return two_tastes(tmp_path_factory.mktemp("data") / "ratings.csv", head="uid,sku,ts")


def two_tastes(path: Path, users: int = 150, head: str = "user,item,timestamp") -> Path:
    """Two tastes, thirty items each; everybody is active over the whole time."""
    rng = np.random.default_rng(5)
    lines = [head]
    for user in range(users):
        mine = rng.permutation(30)[:18] + 30 * (user % 2)
        for step, item in enumerate(mine):
            lines.append(
                f"u{user},s{item},{1_600_000_000 + step * 86_400 + int(rng.integers(86_400))}"
            )
    path.write_text("\n".join(lines) + "\n")
    return path


def evolve(data: Path, out: Path, *more: str | Path) -> list[str | Path]:
    fixed = [
        "--user",
        "uid",
        "--item",
        "sku",
        "--time",
        "ts",
        "--workers",
        "2",
        "--json",
        "--space",
        "linear",
    ]
    return ["evolve", data, "--candidates", "14", "--out", out, *fixed, *more]


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("finished")
    done = call(folder, *evolve(data, folder / "run"))
    return folder / "run", json.loads(done.stdout)


def rows(run: Path) -> list[dict[str, Any]]:
    done = call(run.parent, "status", run, "--json", "--top", "1000")
    timed = (
        "seconds",
        "fit_seconds",
        "score_seconds",
        "latency_ms_p50",
        "latency_ms_p99",
        "peak_bytes",
        "cell",  # costs say where a candidate lies on the map and on the front
        "elite",
        "front",
    )
    board = json.loads(done.stdout)["leaderboard"]
    return [{k: v for k, v in row.items() if k not in timed} for row in board]


def test_a_run_ends_with_a_leaderboard_beside_tuned_baselines(
    finished: tuple[Path, dict[str, Any]],
) -> None:
    _, found = finished
    assert found["ending"] == "all candidates are done"
    assert found["scored"] + sum(found["failed"].values()) == 14
    assert found["failed"] == {}
    assert found["leader"]["metrics"]["ndcg@10"] >= found["baseline"]["metrics"]["ndcg@10"]
    assert found["baseline"]["baseline"]
    assert not found["challenger"]["baseline"]
    assert found["gain"]["low"] <= found["gain"]["difference"] <= found["gain"]["high"]
    popularity = next(r for r in found["leaderboard"] if r["name"] == "popularity")
    assert found["leader"]["metrics"]["ndcg@10"] > popularity["metrics"]["ndcg@10"] + 0.02


def test_status_says_the_same_and_what_to_do_next(finished: tuple[Path, dict[str, Any]]) -> None:
    run, found = finished
    said = call(run.parent, "status", run).stdout
    assert f"{found['leader']['metrics']['ndcg@10']:.4f}" in said
    assert found["baseline"]["name"] in said
    assert "noise floor" in " ".join(said.split()).lower()
    assert f"evolver export {run}" in said


def test_the_verdict_of_the_gate_ends_a_run(finished: tuple[Path, dict[str, Any]]) -> None:
    run, found = finished
    floor, gate = found["floor"], found["finals"]
    assert floor["number"] == found["baseline"]["number"]
    assert floor["noise"]["seeds"] == 3
    assert floor["least"] >= 0.005 * floor["noise"]["mean"]
    assert gate["state"] in {"promoted", "rejected", "none ahead"}
    assert not gate["waiting"]
    readings = found["readings"]
    assert len(readings["promotion"]) >= len(gate["judged"])
    assert len(readings["test"]) == (gate["state"] == "promoted")
    again = call(run.parent, "promote", run, "--json", code=int(gate["state"] != "promoted"))
    told = json.loads(again.stdout)
    assert {name: told[name] for name in gate} == gate
    status = json.loads(call(run.parent, "status", run, "--json").stdout)
    assert status["readings"] == readings


def test_killed_again_and_again_it_ends_as_if_undisturbed(
    data: Path, finished: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    rng = random.Random(11)
    run = tmp_path / "run"
    words = evolve(data, run)
    kills = 0
    for _ in range(6):
        child = subprocess.Popen(
            command(*words),
            cwd=tmp_path,
            env=environment(tmp_path),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        if kills:  # the first may come before there is a run
            while not (run / "archive.sqlite").exists() and child.poll() is None:
                time.sleep(0.01)
        try:
            child.wait(1 + rng.random() * 5)
        except subprocess.TimeoutExpired:
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
            kills += 1
        if (run / "archive.sqlite").exists():
            words = ["resume", run, "--json"]
    assert kills >= 2
    done = json.loads(call(tmp_path, "resume", run, "--json").stdout)
    assert rows(run) == rows(finished[0])
    for part, whole in finished[1]["readings"].items():
        assert [r["numbers"] for r in done["readings"][part]] == [r["numbers"] for r in whole]


def test_ctrl_c_ends_cleanly_and_can_be_resumed(data: Path, tmp_path: Path) -> None:
    quick = tmp_path / "quick.yaml"
    quick.write_text("promote: {finalists: 0}\n")
    child = subprocess.Popen(
        command(*evolve(data, tmp_path / "run"), "--config", quick),
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stderr is not None
    for line in child.stderr:
        if line.startswith("#1 "):
            break
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 130, err
    assert json.loads(out)["ending"] == "interrupted"
    assert "Traceback" not in err
    done = json.loads(call(tmp_path, "resume", tmp_path / "run", "--json").stdout)
    assert done["scored"] == 14


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["evolve", "nowhere.csv"], "nowhere.csv"),
        (["evolve", "--metric", "ndcgg@10"], "ndcgg"),
        (["evolve", "--candidates", "0"], "candidates"),
        (["evolve", "--proposer", "magic"], "magic"),
        (["evolve", "--time", "10m", "--time", "20m"], "--time"),
        (["evolve", "--space", "nothing"], "nothing"),
        (["evolve", "--sandbox", "cardboard"], "cardboard"),
        (["status", "nothing"], "no run at nothing"),
        (["evolve", "--config", "missing.yaml"], "missing.yaml"),
    ],
)
def test_bad_usage_is_one_line(tmp_path: Path, words: list[str], says: str) -> None:
    done = subprocess.run(
        command(*words),
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in {1, 2}
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not list(tmp_path.glob("runs/*/archive.sqlite"))
