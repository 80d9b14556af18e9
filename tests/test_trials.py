"""Gains taken apart into idea and tuning, and trials counted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from evolver.core import Candidate, Entry, Scored
from evolver.propose.baselines import PROPOSER
from evolver.trials import terms, tuned

FILE = """
from evolver.contract import Int
NAME = "{name}"
TUNABLES = {{"k": Int(1, 99, default=1)}}
class Model:
    def __init__(self, params): ...
    def fit(self, train, budget): ...
    def score(self, users): ...
    def state(self): ...
    def load(self, state): ...
"""


def entry(number: int, name: str, value: float, k: int, proposer: str = "llm") -> Entry:
    return Entry(
        number=number,
        candidate=Candidate(
            source=FILE.format(name=name), values={"k": k}, name=name, proposer=proposer
        ),
        evaluation=Scored(
            metrics={"m@1": value},
            per_user={},
            fit_seconds=1.0,
            score_seconds=0.1,
            latency_ms_p50=0.1,
            latency_ms_p99=0.1,
            parameters=1,
            peak_bytes=1,
        ),
    )


HISTORY = [
    entry(0, "base", 0.20, 1, PROPOSER),
    entry(1, "base", 0.30, 2, PROPOSER),
    entry(2, "base", 0.25, 3, PROPOSER),
    entry(3, "idea", 0.32, 1),
    entry(4, "numbers", 0.28, 1),
    entry(5, "idea", 0.35, 2),
    entry(6, "numbers", 0.36, 2),
    entry(7, "numbers", 0.31, 3),
]


def test_a_gain_is_idea_and_tuning() -> None:
    base, numbers, idea = tuned(HISTORY, "m@1")
    assert (base.name, base.trials, base.idea) == ("base", 3, None)
    assert base.tuning == pytest.approx(0.10)
    assert (numbers.name, numbers.number, numbers.trials) == ("numbers", 6, 3)
    assert numbers.idea == pytest.approx(-0.02)  # worse than the tuned baseline as it came
    assert numbers.tuning == pytest.approx(0.08)
    assert (idea.name, idea.trials, idea.wanted, idea.short) == ("idea", 2, 3, 1)
    assert idea.idea == pytest.approx(0.02)
    assert idea.tuning == pytest.approx(0.03)
    for row in (numbers, idea):  # the parts make the whole
        assert row.idea is not None
        assert row.idea + row.tuning == pytest.approx(row.best - base.best)


def test_the_terms_are_said_where_they_are_not_equal() -> None:
    base, numbers, idea = tuned(HISTORY, "m@1")
    head = "The most tuned baseline had 3 trials"
    assert terms((base, numbers, idea)) == f"{head}; fewer: idea 2 (the budget did not go further)."
    assert terms((base, numbers)) == f"{head}, and so had each program here."
    assert terms((base, replace(numbers, trials=5))) == f"{head}; more: numbers 5."
    fixed = replace(idea, trials=1, wanted=1)
    assert terms((base, fixed)) == f"{head}; nothing to tune: idea."
    assert terms((base,)) == ""
