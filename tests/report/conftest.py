"""Runs made up of plain values: a realistic one, an empty one, a hostile one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evolver.archive.store import Archive
from evolver.config import RunConfig
from evolver.core import (
    Candidate,
    Completed,
    Entry,
    Evaluation,
    Execution,
    Failed,
    FailureKind,
    Limits,
    PartName,
    Scored,
)
from evolver.evaluate.slices import Slice as Slices
from evolver.evaluate.slices import write_slices
from evolver.propose import baselines
from evolver.report.data import Contest, Cost, Figure, ReportData, Slice
from evolver.run import SLICES

SOURCE = '''"""A linear filter over the item graph."""

import numpy as np

from evolver.contract import Float, Params

TUNABLES = {"damping": Float(0.1, 500.0, default=50.0, log=True)}


class Model:
    def __init__(self, params: Params) -> None:
        self.damping = params.damping

    def score(self, users):
        return users.matrix() @ self.weights
'''
BETTER = SOURCE.replace(
    "        return users.matrix() @ self.weights\n",
    "        history = users.matrix()\n"
    "        recent = history.multiply(self.decay)  # what was taken last says most\n"
    "        return recent @ self.weights\n",
)
HOSTILE = (
    "</style></script><script>alert(1)</script><img src=x onerror=alert(1)>"
    "\x1b]0;owned\x07\x1b[31m\u202e\x9b2J{{ 7 * 7 }}{% raw %}<a href='javascript:alert(1)'>"
)


def scored(value: float, **metrics: float) -> Scored:
    return Scored(
        metrics={"ndcg@10": value, "recall@20": value * 0.8, "coverage": 0.4, **metrics},
        per_user={"ndcg@10": np.array([value], dtype=np.float32)},
        fit_seconds=2.5,
        score_seconds=0.4,
        latency_ms_p50=0.3 + (value * 7919) % 5,
        latency_ms_p99=2.0,
        parameters=123_456,
        peak_bytes=200 << 20,
    )


def entry(number: int, evaluation: Evaluation, **candidate: Any) -> Entry:
    given: dict[str, Any] = {
        "source": SOURCE + f"# {number}\n",
        "name": f"Candidate {number}",
        "family": "graph filter",
        "proposer": "typed search",
    }
    return Entry(
        number=number,
        candidate=Candidate(**(given | candidate)),
        evaluation=evaluation,
        seconds=3.0,
    )


def run_of(count: int, **text: str) -> ReportData:
    """A run of `count` candidates: baselines first, one in seven fails, slow improvement."""
    rng = np.random.default_rng(3)
    entries: list[Entry] = []
    kinds: tuple[FailureKind, ...] = ("crash", "timeout", "contract", "invalid_output")
    for number in range(count):
        if number % 7 == 3:
            reason = text.get("reason", f"ValueError: shapes (3, {number}) and (4,) differ")
            failed = Failed(kind=kinds[number % 4], reason=reason)
            entries.append(entry(number, failed, **text and {"name": text["name"]}))
            continue
        value = 0.24 + 0.07 * (1 - np.exp(-number / (count / 3))) + rng.normal(0, 0.012)
        extra: dict[str, Any] = {"name": text["name"], "idea": text["idea"]} if text else {}
        entries.append(entry(number, scored(float(value)), **extra))
    ranked = [e for e in entries if isinstance(e.evaluation, Scored)]
    tuned = frozenset(e.number for e in entries[: count // 2])
    best_baseline = max(
        (e for e in ranked if e.number in tuned), key=lambda e: e.score("ndcg@10") or 0
    )
    winner_number = count
    entries.append(
        entry(
            winner_number,
            scored(0.334),
            name=text.get("name", "Recency-weighted graph filter"),
            source=text.get("source", BETTER),
            idea=text.get("idea", "What was taken last says most.\nSo weight it by a decay."),
            parents=(best_baseline.candidate.id,),
            proposer="llm",
            operator="edit",
            model="some/model",
            values={"damping": 80.0},
        )
    )
    numbers = [e.number for e in entries if isinstance(e.evaluation, Scored)]
    intervals: Mapping[int, tuple[float, float]] = {
        e.number: (value - 0.006, value + 0.006)
        for e in entries
        if (value := e.score("ndcg@10")) is not None and e.number in numbers
    }
    base = best_baseline.score("ndcg@10") or 0.0
    return ReportData(
        run=text.get("name", "2026-11-23-a1b2"),
        metric="ndcg@10",
        created="2026-11-23 14:02",
        evolver_version="0.1.0",
        entries=entries,
        baselines=tuned,
        winner=winner_number,
        baseline=best_baseline.number,
        intervals=intervals,
        contests=(
            Contest(
                part="search",
                users=943,
                winner=Figure(value=0.334, low=0.328, high=0.340),
                baseline=Figure(value=base, low=base - 0.006, high=base + 0.006),
                difference=Figure(value=0.021, low=0.015, high=0.027),
            ),
            Contest(
                part="test",
                users=930,
                winner=Figure(value=0.329, low=0.321, high=0.337),
                baseline=Figure(value=0.315, low=0.307, high=0.323),
                difference=Figure(value=0.014, low=0.006, high=0.022),
            ),
        ),
        slices=(
            Slice(name="history 1 to 5", users=210, winner=0.21, baseline=0.22),
            Slice(name="history over 50", users=320, winner=0.41, baseline=0.38),
        ),
        noise=0.002,
        cost=Cost(
            wall_seconds=552.0,
            sandbox_seconds=431.5,
            usd=1.84,
            unpriced_requests=2,
            requests=31,
            tokens_in=120_000,
            tokens_out=34_000,
            budget={"candidates": "30", "time": "10 min"},
        ),
        data={"name": "ml-100k", "fingerprint": "0123456789abcdef"},
        settings={"seed": "0", "split": "time"},
        versions={"evolver": "0.1.0", "torch": "2.13.0"},
        repeat=("evolver evolve ml-100k --metric ndcg@10 --candidates 30 --seed 0",),
    )


@pytest.fixture
def make_run() -> Callable[..., ReportData]:
    return run_of


USERS = 40


def measured(value: float) -> Scored:
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


def record(archive: Archive, number: int, value: float | None, part: PartName = "search") -> None:
    outcome = Completed(
        answers=np.zeros((1, 1), dtype=np.int32),
        fit_seconds=1.0,
        score_seconds=0.1,
        latency_ms=np.ones(1),
        parameters=1,
        peak_bytes=1,
    )
    failed = Failed(kind="crash", reason="ValueError: no")
    archive.add(
        number,
        failed if value is None else measured(value),
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
        "plan": {
            "workers": 1,
            "threads": 1,
            "lag": 1,
            "baseline_slots": 2,
            "device": "cpu",
            "seconds": 60.0,
        },
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
        record(archive, number, value)
    archive.close()
    known = np.arange(USERS) < USERS // 2
    groups = {"known users": known, "users not in training": ~known}
    write_slices(
        place / SLICES,
        [Slices(group="cold start", name=name, mask=mask) for name, mask in groups.items()],
    )
    return place
