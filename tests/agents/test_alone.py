"""What tuned single retrievers tell a search for pipelines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import yaml

from evolver.agents.alone import best_alone, hopeless, moves, tuned, without
from evolver.agents.alternation import Alternation
from evolver.agents.document import Document, parse
from evolver.agents.rounds import TUNED, Rounds
from evolver.agents.space import applied, composition
from evolver.config import RewardConfig
from evolver.core import Candidate, Entry, Failed
from evolver.propose import baselines
from evolver.tune.registry import tuner
from tests.agents import programs
from tests.agents.test_rounds import brief, entry, scored, trials

METRIC = "reward@10"


def distinct(made: Document) -> Document:
    """The toy pipeline with a program of its own for each recall agent."""
    told = yaml.safe_load(made.text())
    for name in made.pool("recall"):
        told["agents"][name]["source"] = f"{made.agents[name].source}# {name}\n"
    return parse(yaml.safe_dump(told, sort_keys=False))


def document() -> Document:
    return distinct(programs.document())


def lone(number: int, agent: str, reward: float, own: str = "", **values: float) -> Entry:
    """A tuned single retriever whose program is that of an agent of the toy pool."""
    own = own or agent
    spec = {"stage": "recall", "source": document().agents[agent].source}
    alone = parse(yaml.safe_dump({"agents": {own: spec}, "graph": {"recall": {own: 200}}}))
    named = {f"{own}.{name}": value for name, value in values.items()}
    candidate = Candidate(source=alone.text(), values=named, proposer=baselines.PROPOSER)
    return Entry(number=number, candidate=candidate, evaluation=scored(reward))


HISTORY = [
    lone(0, "three", 0.2, step=1.0),
    lone(1, "three", 0.4, step=2.0),
    lone(2, "one", 0.3, own="uno", step=3.0),
    lone(3, "three", 0.3, step=4.0),
]


def test_each_retriever_is_known_by_its_best_trial_whatever_it_was_called() -> None:
    found = best_alone(document(), HISTORY, METRIC)
    assert [(each.agent, dict(each.values)) for each in found] == [
        ("three", {"three.step": 2.0}),
        ("one", {"one.step": 3.0}),
    ]
    assert best_alone(document(), [], METRIC) == []


def test_those_that_serve_keep_their_values() -> None:
    assert tuned(document(), best_alone(document(), HISTORY, METRIC)) == {"three.step": 2.0}


def test_the_best_is_tried_by_itself_joined_ranked_and_fused() -> None:
    start = distinct(programs.pool())
    known = [lone(0, "two", 0.2), lone(1, "one", 0.3)]
    by_itself, ranked, joined, fused = (
        applied(start, move) for move in moves(start, best_alone(start, known, METRIC))
    )
    assert (by_itself.graph.recall, by_itself.graph.ranking) == ({"one": 200}, None)
    assert joined.graph.recall == {"one": 100, "two": 12}
    assert joined.graph.ranking == "ranker"
    assert (ranked.graph.recall, ranked.graph.ranking) == ({"one": 200}, "ranker")
    assert fused.graph.recall == {"one": 100, "two": 100}
    assert (fused.graph.merge.how, fused.graph.ranking) == ("fusion", None)
    assert moves(start, []) == []


def test_the_best_leads_those_that_serve() -> None:
    _, move, *_ = moves(document(), best_alone(document(), HISTORY, METRIC))
    assert list(applied(document(), move).graph.recall) == ["three", "one", "two"]


def test_agents_that_were_refined_alone_are_composed_first() -> None:
    def due(entries: Sequence[Entry]) -> str | None:
        step = Rounds(document(), RewardConfig()).due([*HISTORY, *entries])
        return None if step is None else step.name

    tried = [entry(5, 0.5)]
    assert due(tried) == "round 1.1: recompose"
    tried += trials("round 1.1: recompose", [0.6] + [0.4] * TUNED["recompose"].idle, 6)
    assert due(tried) == "round 1.2: refine one"
    for name in ("2: refine one", "3: refine two"):
        tried += trials(f"round 1.{name}", [0.4] * TUNED["refine"].idle, 20 + len(tried))
    assert due(tried) == "round 2.1: refine one"


def test_proposals_in_flight_share_what_is_suggested() -> None:
    proposer = Alternation(document(), RewardConfig(), tuner("random"))
    start = proposer.propose(brief(5, HISTORY))
    history = [*HISTORY, Entry(number=5, candidate=start, evaluation=scored(0.5))]
    found = [proposer.propose(brief(number, history)) for number in (6, 7, 8)]
    assert [each.name.split(" → ")[0] for each in found] == ["three", "three+one+two", "one+three"]


def test_what_never_came_to_a_score_alone_is_not_taken_up() -> None:
    slow = replace(lone(4, "three", 0.0), evaluation=Failed(kind="timeout", reason="too slow"))
    assert hopeless(document(), [slow], METRIC) == {"three"}
    assert hopeless(document(), [slow, *HISTORY], METRIC) == set()
    serving = replace(lone(4, "one", 0.0), evaluation=slow.evaluation)
    assert hopeless(document(), [serving], METRIC) == set()
    space = without(composition(document()), {"three"})
    names = {parameter.name for parameter in space}
    assert {"graph.use.one", "graph.quota.two", "graph.merge"} <= names
    assert not any("three" in name for name in names)


def test_the_search_begins_with_what_stood_alone() -> None:
    proposer = Alternation(document(), RewardConfig(), tuner("random"))
    history = list(HISTORY)

    def next_one(number: int, reward: float = 0.1) -> Candidate:
        found = proposer.propose(brief(number, history))
        history.append(Entry(number=number, candidate=found, evaluation=scored(reward)))
        return found

    assert next_one(5, 0.5).operator == "start"
    found = [next_one(number) for number in (6, 7, 8)]
    assert {each.direction for each in found} == {"round 1.1: recompose"}
    assert [each.name.split(" → ")[0] for each in found] == ["three", "three+one+two", "one+three"]
    assert all(each.values["three.step"] == 2.0 for each in found)
    history.append(lone(9, "two", 0.7, step=5.0))  # a slow one that is better comes late
    assert next_one(10).name.split(" → ")[0] == "two"
    while (found := [next_one(len(history) + 5)])[0].operator == "recompose":
        pass
    assert found[0].direction == "round 1.2: refine one"
