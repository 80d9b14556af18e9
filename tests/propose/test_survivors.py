"""Survivors get as many trials as the most tuned baseline, in turns that nothing disturbs."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from evolver.archive.select import Tournament
from evolver.core import Brief, Candidate, Entry, Failed, Limits, Scored, Stopped
from evolver.evaluate.check import inspect_source
from evolver.evaluate.fingerprint import program_digest
from evolver.propose.baselines import PROPOSER, BaselineProposer, Known
from evolver.propose.programs import fitting, programs
from evolver.propose.survivors import SurvivorsProposer
from evolver.tune.registry import tuner
from evolver.tune.space import load_space

METRIC = "ndcg@10"
FILE = '''
"""A file."""
from evolver.contract import Float, Int

NAME = "{name}"
TUNABLES = {{"k": Int(1, 99, default={k}), "share": Float(0.0, 1.0, default=0.5)}}


class Model:
    def __init__(self, params): ...
    def fit(self, train, budget): ...
    def score(self, users): ...
    def state(self): ...
    def load(self, state): ...
'''


def scored(value: float) -> Scored:
    return Scored(
        metrics={METRIC: value},
        per_user={},
        fit_seconds=1.0,
        score_seconds=0.1,
        latency_ms_p50=0.1,
        latency_ms_p99=0.1,
        parameters=1,
        peak_bytes=1,
    )


def entry(
    number: int,
    name: str,
    value: float | None,
    *,
    k: int = 3,
    proposer: str = "llm",
    **more: object,
) -> Entry:
    candidate = Candidate(
        source=FILE.format(name=name, k=k),
        name=name,
        proposer=proposer,
        **more,  # type: ignore[arg-type]
    )
    failed = Failed(kind="crash", reason="")
    return Entry(
        number=number, candidate=candidate, evaluation=failed if value is None else scored(value)
    )


def brief(number: int, history: list[Entry], tuning: tuple[int, int] | None) -> Brief:
    return Brief(
        number=number,
        seed=0,
        task="retrieval",
        metric=METRIC,
        profile={},
        history=history,
        parents=Tournament(METRIC).select(history, 0),
        limits=Limits(),
        candidates_left=9,
        seconds_left=1.0,
        tuning=tuning,
    )


def parameters(source: str):  # type: ignore[no-untyped-def]
    facts = inspect_source(source)
    return None if isinstance(facts, Failed) else facts.tunables


def survivors() -> SurvivorsProposer:
    return SurvivorsProposer(tuner("tpe"), parameters, program_digest)


def play(history: list[Entry], start: int, end: int, lag: int = 1) -> list[Candidate]:
    """What is proposed from `start` on, each trial scored a little better than the last."""
    made: list[Candidate] = []
    told = list(history)
    for number in range(start, end):
        seen = [e for e in told if e.number <= max(number - lag, start - 1)]
        asked = brief(number, seen, (start, end))
        if not survivors().can(asked):
            break
        proposal = survivors().propose(asked)
        assert isinstance(proposal, Candidate)
        made.append(proposal)
        told.append(
            Entry(number=number, candidate=proposal, evaluation=scored(0.5 + number / 1000))
        )
    return made


HISTORY = [
    entry(0, "base", 0.30, proposer=PROPOSER),
    entry(1, "base", 0.31, proposer=PROPOSER, values={"k": 9}),
    entry(2, "base", 0.29, proposer=PROPOSER, values={"k": 8}),
    entry(3, "good", 0.40),
    entry(4, "fair", 0.35),
    entry(5, "poor", 0.10),
    entry(6, "worst", 0.05),
    entry(7, "broken", None),
    entry(8, "good", 0.38, k=7),  # the same program with another default: its second trial
]


def test_programs_are_told_apart_by_what_they_do_not_by_their_settings() -> None:
    found = programs(HISTORY, program_digest, METRIC)
    assert [(p.trials[0].candidate.name, len(p.trials)) for p in found] == [
        ("good", 2),
        ("fair", 1),
        ("base", 3),
        ("poor", 1),
        ("worst", 1),
        ("broken", 1),
    ]
    assert [p.baseline for p in found] == [False, False, True, False, False, False]
    assert found[0].first(METRIC) == HISTORY[3]


def test_each_of_the_best_three_gets_what_the_baseline_had_and_no_more() -> None:
    made = play(HISTORY, 9, 30)
    assert [c.name for c in made] == ["good", "fair", "poor", "fair", "poor"]
    assert {c.operator for c in made} == {"tune"}
    assert {c.proposer for c in made} == {"tuning"}
    assert len({c.id for c in made}) == 5


@pytest.mark.parametrize("lag", [2, 3, 8])
def test_the_turns_do_not_depend_on_what_is_in_flight(lag: int) -> None:
    assert [c.name for c in play(HISTORY, 9, 30, lag)] == ["good", "fair", "poor", "fair", "poor"]


def test_a_short_budget_serves_the_best_in_full_first() -> None:
    assert [c.name for c in play(HISTORY, 9, 12)] == ["good", "fair", "fair"]


def test_programs_that_reviewers_turned_down_are_no_survivors() -> None:
    barred = [replace(e, standing="barred") if e.candidate.name == "good" else e for e in HISTORY]
    names = {c.name for c in play(barred, 9, 30)}
    assert names
    assert "good" not in names


def test_a_program_that_is_a_baseline_or_has_nothing_to_tune_is_no_survivor() -> None:
    plain = FILE.format(name="plain", k=1).replace(
        'TUNABLES = {"k": Int(1, 99, default=1), "share": Float(0.0, 1.0, default=0.5)}', ""
    )
    history = [
        *HISTORY[:3],
        entry(3, "base", 0.5),  # a model proposed the baseline's file again
        Entry(number=4, candidate=Candidate(source=plain), evaluation=scored(0.6)),
    ]
    assert play(history, 5, 9) == []


def test_the_first_trial_starts_from_the_parents_best_values_where_names_match() -> None:
    parent = entry(3, "parent", 0.2)
    tuned = entry(4, "parent", 0.3, values={"k": 42, "share": 0.25})
    child = entry(5, "child", 0.4, parents=(parent.candidate.id,))
    made = play([*HISTORY[:3], parent, tuned, child], 6, 9)
    assert [c.name for c in made] == ["child", "parent", "child"]
    assert made[0].values == {"k": 42, "share": 0.25}
    assert made[2].values != made[0].values


def test_inherited_values_must_be_allowed() -> None:
    space = parameters(FILE.format(name="a", k=1))
    assert fitting({"k": 500, "share": 1, "other": 3}, space) == {"share": 1.0}
    assert fitting({"k": 5.0, "share": True}, space) == {"k": 5}


def test_a_typed_program_keeps_its_point_and_counts_its_trials_of_the_search() -> None:
    space = load_space("linear")
    point = dict(space.default())
    number = next(p for p in space.parameters if p.kind == "float" and p.name in point)
    history = [
        *(entry(n, "base", 0.2, proposer=PROPOSER, values={"k": n + 1}) for n in range(4)),
        Entry(number=4, candidate=space.compile(point), evaluation=scored(0.3)),
        Entry(
            number=5,
            candidate=space.compile({**point, number.name: number.low}),
            evaluation=scored(0.4),
        ),
    ]
    made = play(history, 6, 20)
    assert len(made) == 2  # four trials of the baseline, two of its own
    for candidate in made:
        assert candidate.source == history[5].candidate.source
        assert candidate.space == "linear"
        assert candidate.point is not None
        assert space.validate(candidate.point)
        assert {n: candidate.point[n] for n in candidate.values} == dict(candidate.values)


def test_what_was_stopped_is_a_trial_and_teaches() -> None:
    stopped = Stopped(fidelity="low", reason="", scored=scored(0.01))
    cut = Entry(number=9, candidate=HISTORY[4].candidate, evaluation=stopped)
    made = play([*HISTORY, cut], 10, 30)
    assert Counter(c.name for c in made) == {"good": 1, "fair": 1, "poor": 2}


# --- baselines ----------------------------------------------------------------------------------


@pytest.mark.parametrize("lag", [1, 2, 4, 7])
def test_baselines_are_tuned_evenly_whatever_is_in_flight(lag: int) -> None:
    known = [
        Known(
            name=name,
            candidate=Candidate(source=FILE.format(name=name, k=1), name=name, proposer=PROPOSER),
            parameters=parameters(FILE.format(name=name, k=1)),
        )
        for name in "abcde"
    ]
    worth = dict(zip("abcde", (0.1, 0.5, 0.4, 0.3, 0.2), strict=True))
    proposer = BaselineProposer(known, tuner("random"), METRIC)
    told: list[Entry] = []
    for number in range(20):
        seen = [e for e in told if e.number <= number - lag]
        candidate = proposer.propose(brief(number, seen, None))
        rng = np.random.default_rng(number)
        value = worth[candidate.name] + rng.random() / 100
        told.append(Entry(number=number, candidate=candidate, evaluation=scored(value)))
    counts = Counter(e.candidate.name for e in told)
    if lag == 1:
        assert counts == {"a": 1, "e": 1, "b": 6, "c": 6, "d": 6}
    assert sum(counts.values()) == 20
    assert max(counts[n] for n in "bcd") - min(counts[n] for n in "bcd") <= 1
