"""`evolver evolve --model` over real HTTP to a scripted server, with the real sandbox."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evolver import zoo
from evolver.archive.store import Archive
from evolver.config import ProposeConfig
from evolver.core import Exchange
from evolver.propose.calls import PREFLIGHT_NUMBER
from tests.propose.openai_server import Act, Server, serving

pytest.importorskip("litellm", reason="needs the extra: pip install 'evolver[llm]'")
pytestmark = pytest.mark.slow

AHEAD = ProposeConfig().ahead
ROOT = Path(__file__).parents[2]
DRAFT = f"IDEA: shrink less\nEXPECT: +0.01\n```python\n{zoo.source('ease')}\n```\n".replace(
    "FAMILY =", "# written by a model\nFAMILY =", 1
)
KNN = f"IDEA: neighbours\nEXPECT: +0.01\n```python\n{zoo.source('item_knn')}\n```\n"
BROKEN = KNN.replace("class Model:", "class Model:\n    def fit(self, train, budget): 1 / 0\n", 1)


def environment(folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OPENAI_API_KEY": "sk-secret",
        "EVOLVER_CACHE": str(folder / "cache"),
    }


def command(server: Server | None, *words: str) -> list[str]:
    base = server.base if server else "http://127.0.0.1:9/v1"
    model = ["--model", "openai/scripted", "--api-base", base] if words[0] == "evolve" else []
    return [sys.executable, "-m", "evolver", *words, *model]


def call(folder: Path, server: Server | None, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(server, *words),
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )


def data(folder: Path) -> Path:
    rng = np.random.default_rng(2)
    path = folder / "log.csv"
    lines = [
        f"{user},{item + 20 * (user % 2)},{1_600_000_000 + step * 90_000 + user}"
        for user in range(60)
        for step, item in enumerate(rng.permutation(20)[:12])
    ]
    path.write_text("user,item,timestamp\n" + "\n".join(lines) + "\n")
    return path


def evolving(folder: Path, *more: str) -> list[str]:
    words = ["evolve", str(data(folder)), "--out", "run", "--json", "--workers", "1"]
    return [*words, "--proposer", "llm", "--accept-alarm", "shuffled-time", *more]


def evolve(folder: Path, server: Server | None, *more: str) -> subprocess.CompletedProcess[str]:
    return call(folder, server, *evolving(folder, *more))


def found(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_a_model_drafts_fails_and_repairs_and_resuming_asks_nothing_again(tmp_path: Path) -> None:
    with serving("ready", DRAFT, BROKEN.replace("+0.01", "+0.02"), DRAFT) as server:
        first = found(evolve(tmp_path, server, "--candidates", "5"))
        asked = len(server.requests)
        again = call(tmp_path, server, "resume", "run", "--json")
        assert len(server.requests) <= asked + 1  # the preflight, nothing else
    assert first["scored"] + sum(first["failed"].values()) == 5
    written = [row for row in first["leaderboard"] if not row["baseline"]]
    assert written
    assert written[0]["proposer"].startswith("llm")
    assert written[0]["idea"] == "shrink less"
    assert first["tokens"] > 0
    assert first["leaderboard"] == found(again)["leaderboard"]
    files = b"".join(p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file())
    assert b"sk-secret" not in files


def test_a_dead_endpoint_ends_it_in_one_line_before_anything_is_trained(tmp_path: Path) -> None:
    done = evolve(tmp_path, None, "--candidates", "5")
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = [row for row in done.stderr.splitlines() if row.startswith("evolver: ")]
    assert "openai/scripted" in line
    assert "127.0.0.1:9" in line
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_refused_key_ends_it_in_one_line(tmp_path: Path) -> None:
    with serving(Act(status=401, error="invalid key sk-secret")) as server:
        done = evolve(tmp_path, server, "--candidates", "5")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "sk-secret" not in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_token_budget_is_never_passed(tmp_path: Path) -> None:
    with serving("ready", DRAFT) as server:
        done = evolve(tmp_path, server, "--candidates", "6", "--tokens", "300")
        result = found(done)
    assert result["ending"] == "the token or dollar budget is spent"
    assert result["tokens"] <= 300


def test_garbage_costs_a_candidate_and_not_the_run(tmp_path: Path) -> None:
    with serving("ready", "I would rather talk about the weather.") as server:
        result = found(evolve(tmp_path, server, "--candidates", "4"))
    assert result["failed"] == {"contract": 2}
    assert result["ending"] == "all candidates are done"
    assert result["challenger"] is None


def recorded(run: Path) -> list[Exchange]:
    """The replies that the archive of a run holds, those to a greeting left out."""
    if not (run / "archive.sqlite").exists():
        return []
    archive = Archive.open(f"sqlite:///{run / 'archive.sqlite'}")
    found = [one for one in archive.exchanges() if one.reply and one.number != PREFLIGHT_NUMBER]
    archive.close()
    return found


def asked(server: Server, since: int = 0) -> list[Any]:
    """What a server was asked, but for greetings."""
    every = [request["messages"] for request in server.requests[since:]]
    return [messages for messages in every if "the one word" not in messages[-1]["content"]]


def asked_again(server: Server, since: int, known: list[Exchange]) -> list[Any]:
    """Of what a server was asked since then, what had been answered and recorded before."""
    paid = [json.loads(one.request)["messages"] for one in known]
    return [messages for messages in asked(server, since) if messages in paid]


def test_killed_again_and_again_no_reply_is_paid_for_twice(tmp_path: Path) -> None:
    rng = random.Random(3)
    run = tmp_path / "run"
    texts = [f"{text}\n<!-- {n} -->" for n in range(9) for text in (DRAFT, KNN, BROKEN)]
    words, kills = evolving(tmp_path, "--candidates", "6"), 0
    with serving("ready", *texts) as server:
        while kills < 3 or (not recorded(run) and kills < 12):
            before, known = len(server.requests), recorded(run)
            child = subprocess.Popen(
                command(server, *words),
                cwd=tmp_path,
                env=environment(tmp_path),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            while len(server.requests) == before and child.poll() is None:
                time.sleep(0.01)  # until it has greeted the model
            try:
                child.wait(rng.random() * 4)
                break
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
                kills += 1
            assert not asked_again(server, before, known)
            if (run / "archive.sqlite").exists():
                words = ["resume", "run", "--json"]
        before, known = len(server.requests), recorded(run)
        result = found(call(tmp_path, server, *words))
        assert not asked_again(server, before, known)
    assert kills >= 2
    assert known
    assert result["scored"] + sum(result["failed"].values()) == 6
    replies = recorded(run)
    assert len({one.request_hash for one in replies}) == len(replies)
    # A reply that was on its way at a kill was never read; nothing else is asked for again.
    assert len(asked(server)) <= len(replies) + kills * AHEAD
