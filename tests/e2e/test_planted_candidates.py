"""Faults planted in programs, through the real command and the real sandbox: each canary that looks
at results says so, and nobody who trips one is promoted."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evolver.config import DataConfig, SplitConfig
from evolver.core import Candidate
from evolver.data.formats import load
from evolver.data.split import make_fold, make_split
from tests.e2e.test_cli import call, two_tastes

pytestmark = pytest.mark.slow

PROGRAM = '''
"""{idea}."""

import numpy as np

FAMILY = "planted"
SERVES_UNSEEN = True


class Model:
    def __init__(self, params): ...

    def fit(self, train, budget):
        taken = train.matrix()
        self.alike = (taken.T @ taken).toarray()

    def score(self, users):
        scores = users.matrix() @ self.alike
        {body}
        return scores

    def state(self):
        return {{"alike": self.alike}}

    def load(self, state):
        self.alike = state["alike"]
'''
MOODY = "scores += scores.max() * np.random.default_rng(int(users.ids.sum())).random(scores.shape)"
CONTRARY = "scores = -scores"
KNOWING = """for row, user in enumerate(users.ids.tolist()):
            scores[row, ANSWERS.get(user, [])] = 1e9"""
CANARIES = {
    "moody": "ranking that depends on the batch",
    "contrary": "metric that rises with shuffled labels",
    "knowing": "suspiciously good results",
}


def answers(data: Path) -> dict[int, list[int]]:
    """What the search part holds out, as somebody would know who had seen it."""
    found = load(DataConfig(path=str(data)))
    fold = make_fold(found, make_split(found, SplitConfig(), 0), "search", False)
    parts = np.split(fold.labels.items, fold.labels.indptr[1:-1])
    return {int(u): part.tolist() for u, part in zip(fold.queries.ids, parts, strict=True)}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A run that replays the planted programs, in turn, under every number."""
    folder = tmp_path_factory.mktemp("planted")
    data = two_tastes(folder / "ratings.csv")
    knows = PROGRAM.format(idea="Knows the answers", body=KNOWING)
    knows = knows.replace("\n\nclass", f"\nANSWERS = {answers(data)}\n\n\nclass", 1)
    sources = [
        PROGRAM.format(idea="Ranks by whom it is asked for", body=MOODY),
        PROGRAM.format(idea="Ranks what others like", body=CONTRARY),
        knows,
    ]
    plants = [
        Candidate(source=source, name=name, family="planted", proposer="replay")
        for name, source in zip(CANARIES, sources, strict=True)
    ]
    rows = [{"number": n, "candidate": asdict(plants[n % 3])} for n in range(8)]
    record = folder / "record.jsonl"
    record.write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["--candidates", "8", "--replay", record, "--out", folder / "run", "--workers", "2"]
    done = call(folder, "evolve", data, *words, "--json")
    return folder / "run", json.loads(done.stdout)


@pytest.mark.parametrize("name", CANARIES)
def test_a_planted_program_is_rejected_by_its_canary(
    name: str, finished: tuple[Path, dict[str, Any]]
) -> None:
    run, _ = finished
    board = json.loads(call(run.parent, "status", run, "--json", "--top", "100").stdout)
    number = next(row["number"] for row in board["leaderboard"] if row["name"] == name)
    done = call(run.parent, "promote", run, "--candidate", str(number), "--json", code=1)
    judged = json.loads(done.stdout)["judged"]
    (verdict,) = [each for each in judged if each["number"] == number]
    assert verdict["decision"] == "reject"
    assert f"canary '{CANARIES[name]}'" in verdict["paragraph"]
    assert verdict["evidence"] is None


def test_nothing_planted_is_promoted_and_the_best_baseline_was_looked_at(
    finished: tuple[Path, dict[str, Any]],
) -> None:
    run, found = finished
    assert found["finals"]["state"] == "rejected"
    assert found["readings"]["test"] == []
    call(run.parent, "report", run, "-o", run.parent / "report.html")
    page = (run.parent / "report.html").read_text()
    where = f"#{found['baseline']['number']}, search part"
    for canary in CANARIES.values():
        assert f'<th scope="row">{canary}</th><td>{where}</td><td class="name">silent' in page
