from __future__ import annotations

from collections.abc import Sequence

import pytest

from evolver.agents.alternation import PROPOSER, Alternation
from evolver.agents.rounds import TUNED, WRITTEN, Rounds
from evolver.agents.space import parameters
from evolver.config import RewardConfig
from evolver.core import Brief, Candidate, Entry, Failed, Limits, Scored
from evolver.errors import NothingPays
from evolver.tune.points import out_of_range
from evolver.tune.registry import tuner
from tests.agents.programs import document

CONFIG = RewardConfig()


def scored(reward: float, **inner: float) -> Scored:
    metrics = {"reward@10": reward, **{f"inner.{name}": v for name, v in inner.items()}}
    return Scored(
        metrics=metrics,
        per_user={},
        fit_seconds=1.0,
        score_seconds=0.0,
        latency_ms_p50=1.0,
        latency_ms_p99=1.0,
        parameters=0,
        peak_bytes=0,
    )


def entry(number: int, reward: float, direction: str = "", **inner: float) -> Entry:
    candidate = Candidate(source=document().text(), proposer=PROPOSER, direction=direction)
    return Entry(number=number, candidate=candidate, evaluation=scored(reward, **inner))


def due(entries: Sequence[Entry]) -> str | None:
    step = Rounds(document(), CONFIG).due(entries)
    return None if step is None else step.name


def trials(step: str, rewards: Sequence[float], start: int) -> list[Entry]:
    return [entry(start + n, reward, step) for n, reward in enumerate(rewards)]


def test_the_serving_agents_are_refined_one_after_the_other_then_the_graph() -> None:
    tried = [entry(0, 0.5)]
    assert due(tried) == "round 1.1: refine one"
    tried += trials("round 1.1: refine one", [0.4] * TUNED["refine"].idle, 1)
    assert due(tried) == "round 1.2: refine two"
    tried += trials("round 1.2: refine two", [0.4] * TUNED["refine"].idle, 10)
    assert due(tried) == "round 1.3: recompose"


def test_gains_keep_a_step_going_but_not_for_ever() -> None:
    step = "round 1.1: refine one"
    tried = [entry(0, 0.1)]
    tried += trials(step, [0.2, 0.2, 0.2, 0.3], 1)
    assert due(tried) == step
    more = trials(step, [0.4 + n for n in range(TUNED["refine"].most)], 10)
    assert due([*tried[:1], *more]) == "round 1.2: refine two"


def test_a_gain_must_be_more_than_a_rounding() -> None:
    step = "round 1.1: refine one"
    tried = [entry(0, 0.5), *trials(step, [0.5001, 0.5002, 0.5003], 1)]
    assert due(tried) == "round 1.2: refine two"


def test_an_agents_own_objective_counts_while_it_is_refined() -> None:
    step = "round 1.1: refine one"
    tried = [entry(0, 0.5, one=0.2)]
    tried += [entry(n, 0.5, step, one=0.2 + 0.1 * n) for n in (1, 2, 3)]
    assert due(tried) == step


def whole_round(number: int, reward: float, start: int) -> list[Entry]:
    names = ["1: refine one", "2: refine two", "3: recompose"]
    return [
        each
        for place, name in enumerate(names)
        for each in trials(f"round {number}.{name}", [reward] * 6, start + 10 * place)
    ]


def test_a_round_that_gained_is_followed_by_another_and_one_that_did_not_ends_it() -> None:
    tried = [entry(0, 0.5), *whole_round(1, 0.6, 1)]
    assert due(tried) == "round 2.1: refine one"
    tried += whole_round(2, 0.6, 100)
    assert due(tried) is None


def test_where_programs_are_written_a_step_wears_out_sooner_and_every_agent_has_one() -> None:
    rounds = Rounds(document(), CONFIG, programs=True)
    tried = [entry(0, 0.5), *trials("round 1.1: refine one", [0.4], 1)]
    step = rounds.next(tried)
    assert step.name == "round 1.1: refine one"
    assert rounds.ends_next(tried, step)
    tried += trials("round 1.1: refine one", [0.4], 2)
    assert len(tried) - 1 == WRITTEN["refine"].idle
    assert rounds.next(tried).name == "round 1.2: refine two"
    assert not rounds.ends_next(tried, rounds.next(tried))


def test_failures_wear_a_step_out() -> None:
    step = "round 1.1: refine one"
    failed = [
        Entry(
            number=n,
            candidate=Candidate(source="", proposer=PROPOSER, direction=step),
            evaluation=Failed(kind="crash", reason="boom"),
        )
        for n in range(1, 4)
    ]
    assert due([entry(0, 0.5), *failed]) == "round 1.2: refine two"


def brief(number: int, history: Sequence[Entry]) -> Brief:
    return Brief(
        number=number,
        seed=3,
        task="pipeline",
        metric="reward@10",
        profile={},
        history=history,
        parents=(),
        limits=Limits(),
        candidates_left=10,
        seconds_left=100.0,
        search_from=5,
    )


def test_the_search_starts_with_the_start_and_changes_what_the_step_may_change() -> None:
    start = document()
    proposer = Alternation(start, CONFIG, tuner("random"))
    first = proposer.propose(brief(5, []))
    assert (first.operator, first.name) == ("start", "one+two → round robin")
    known = {p.name: p for p in parameters(start)}
    history = [Entry(number=5, candidate=first, evaluation=scored(0.5))]
    seen = set()
    for number in range(6, 40):
        found = proposer.propose(brief(number, history))
        assert found == proposer.propose(brief(number, list(history)))
        leader = max(history, key=lambda e: (e.score("reward@10") or 0.0, -e.number)).candidate
        changed = {n for n, v in found.values.items() if v != leader.values[n]}
        head = "graph." if found.operator == "recompose" else f"{found.direction.split()[-1]}."
        assert all(name.startswith(head) for name in changed)
        assert all(out_of_range(known[n], v) is None for n, v in found.values.items())
        assert found.parents == (leader.id,)
        seen.add(found.operator)
        history.append(Entry(number=number, candidate=found, evaluation=scored(0.4)))
        if number >= 17:
            break
    assert seen == {"refine", "recompose"}


def test_a_saturated_search_says_so() -> None:
    proposer = Alternation(document(), CONFIG, tuner("random"))
    tried = [entry(0, 0.5), *whole_round(1, 0.5, 1)]
    with pytest.raises(NothingPays, match="no gain"):
        proposer.propose(brief(200, tried))
