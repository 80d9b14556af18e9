"""The typed proposer: defaults once each, then what has worked; a pure function of the brief."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from evolver.core import (
    Brief,
    Candidate,
    Entry,
    Evaluation,
    Failed,
    Limits,
    Observation,
    Parameter,
    Scored,
    Value,
)
from evolver.errors import ProposerError
from evolver.propose.typed import TypedProposer
from evolver.tune.registry import tuner
from evolver.tune.space import load_space

SPACES = [load_space(name) for name in ("linear", "matrix_graph", "sequential")]
FAILED = Failed(kind="crash", reason="it broke")


def scored(value: float) -> Scored:
    return Scored(
        metrics={"ndcg@10": value},
        per_user={"ndcg@10": np.zeros(1, dtype=np.float32)},
        fit_seconds=1.0,
        score_seconds=1.0,
        latency_ms_p50=1.0,
        latency_ms_p99=1.0,
        parameters=1,
        peak_bytes=1,
    )


def brief(
    number: int, history: list[Entry], seed: int = 7, left: int = 100, first: int = 0
) -> Brief:
    return Brief(
        number=number,
        seed=seed,
        task="retrieval",
        metric="ndcg@10",
        profile={},
        history=history,
        parents=(),
        limits=Limits(),
        candidates_left=left,
        search_from=first,
        seconds_left=1e6,
    )


def linear_is_best(candidate: Candidate) -> Evaluation:
    point: Mapping[str, Value] = candidate.point or {}
    if candidate.space == "sequential":
        return FAILED
    if candidate.space == "linear":
        return scored(0.5 + 0.1 * (point["history"] == "fading") + float(len(point)) / 1000)
    return scored(0.2)


def run(lag: int, trials: int, first: int = 0, seed: int = 7) -> list[Entry]:
    """A loop in which proposal n sees what is recorded up to n - lag; baselines come first, and
    the last of them are in flight when the search begins."""
    proposer = TypedProposer(SPACES, tuner("tpe"), "ndcg@10")
    baseline = Candidate(source="baseline", proposer="baseline")
    done = [Entry(number=n, candidate=baseline, evaluation=scored(0.3)) for n in range(first)]
    for number in range(first, first + trials):
        visible = [e for e in done if e.number <= number - lag]
        candidate = proposer.propose(brief(number, visible, seed, first=first))
        done.append(Entry(number=number, candidate=candidate, evaluation=linear_is_best(candidate)))
    return done[first:]


@pytest.mark.parametrize("first", [0, 5])
@pytest.mark.parametrize("lag", [1, 2, 4])
def test_every_default_is_tried_once_and_nothing_twice(lag: int, first: int) -> None:
    entries = run(lag, 14, first)
    opened = [e.candidate for e in entries if e.candidate.operator == "draft"]
    assert {c.space for c in opened} >= {s.name for s in SPACES}
    for space in SPACES:
        default = space.default()
        assert sum(e.candidate.point == default for e in entries) == 1
    ids = [e.candidate.id for e in entries]
    assert len(set(ids)) == len(ids)


def test_trials_go_where_they_pay_and_know_their_parent() -> None:
    entries = run(1, 20)
    spent = Counter(e.candidate.space for e in entries)
    assert spent["linear"] > spent["matrix_graph"] > 0
    assert spent["linear"] > spent["sequential"] > 0
    last = [e for e in entries if e.candidate.space == "linear"][-1]
    before = [e for e in entries if e.candidate.space == "linear" and e.number < last.number]
    best = max(before, key=lambda e: (e.score("ndcg@10") or 0.0, -e.number))
    assert last.candidate.parents == (best.candidate.id,)
    assert last.candidate.proposer == "tpe"


def test_cheap_spaces_are_opened_first_and_defaults_take_half_of_a_small_budget() -> None:
    proposer = TypedProposer(SPACES[::-1], tuner("random"), "ndcg@10")
    history: list[Entry] = []
    for number in range(4):
        candidate = proposer.propose(brief(number, history, left=4 - number))
        history.append(Entry(number=number, candidate=candidate, evaluation=scored(0.3)))
    opened = [e.candidate.space for e in history if e.candidate.operator == "draft"]
    assert opened == ["linear", "matrix_graph"]


def test_one_good_trial_is_worth_more_than_many_middling_ones() -> None:
    """What counts is the best candidate of a space, not its mean."""
    proposer = TypedProposer(SPACES, tuner("random"), "ndcg@10")
    scores = {"linear": (0.4, 0.1, 0.1, 0.1), "matrix_graph": (0.3,) * 4, "sequential": (0.2,) * 4}
    history = []
    for space in SPACES:
        points = [space.default(), *(space.repair({"bonus": 0.02 + n / 100}) for n in range(3))]
        for value, point in zip(scores[space.name], points, strict=True):
            candidate = space.compile(point)
            number = len(history)
            history.append(Entry(number=number, candidate=candidate, evaluation=scored(value)))
    spent = Counter(proposer.propose(brief(n, history)).space for n in range(12, 112))
    assert spent["linear"] > 60
    assert spent["matrix_graph"] > 0


def test_equal_briefs_give_equal_candidates_whatever_the_thread() -> None:
    history = run(1, 8)
    proposer = TypedProposer(SPACES, tuner("tpe"), "ndcg@10")
    briefs = [brief(number, history) for number in range(8, 16)]
    alone = [proposer.propose(each).id for each in briefs]
    with ThreadPoolExecutor(4) as pool:
        together = [c.id for c in pool.map(proposer.propose, briefs)]
    shuffled = [proposer.propose(brief(n, history[::-1])).id for n in range(8, 16)]
    assert alone == together == shuffled
    assert len(set(alone)) == len(alone)
    assert proposer.propose(brief(8, history, seed=8)).id != alone[0]


def test_without_spaces_there_is_nothing_to_propose() -> None:
    with pytest.raises(ProposerError, match="at least one search space"):
        TypedProposer([], tuner("tpe"), "ndcg@10")


def test_a_traded_cost_is_an_objective() -> None:
    seen: list[Sequence[Observation]] = []

    class Spy:
        name = "spy"

        def suggest(
            self, space: Sequence[Parameter], observed: Sequence[Observation], seed: int
        ) -> Mapping[str, Value]:
            seen.append(observed)
            return {}

    space = SPACES[0]
    candidate = space.compile(space.default())
    history = [
        Entry(number=0, candidate=candidate, evaluation=scored(0.25)),
        Entry(number=1, candidate=candidate, evaluation=FAILED),
    ]
    for trade in ((), ("latency", "parameters")):
        TypedProposer([space], Spy(), "ndcg@10", trade).propose(brief(2, history))
    assert [o.objectives for o in seen[0]] == [(), ()]
    assert [o.objectives for o in seen[-1]] == [(0.25, -1.0, -1.0), ()]
