"""What tuned single retrievers tell a search for pipelines."""

from __future__ import annotations

from dataclasses import replace

import yaml

from evolver.agents.alone import best_alone, hopeless, moves, tuned, without
from evolver.agents.alternation import Alternation
from evolver.agents.document import Document, parse
from evolver.agents.space import applied, composition
from evolver.config import RewardConfig
from evolver.core import Candidate, Entry, Failed
from evolver.propose import baselines
from evolver.tune.registry import tuner
from tests.agents import programs
from tests.agents.test_rounds import brief, scored

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


def test_the_best_joins_and_leads_then_the_two_best_stand_alone() -> None:
    start = distinct(programs.pool())
    known = [lone(0, "two", 0.2), lone(1, "one", 0.3)]
    joined, fused = (
        applied(start, move) for move in moves(start, best_alone(start, known, METRIC))
    )
    assert joined.graph.recall == {"one": 100, "two": 12}
    assert joined.graph.ranking == "ranker"
    assert fused.graph.recall == {"one": 100, "two": 100}
    assert (fused.graph.merge.how, fused.graph.ranking) == ("fusion", None)
    joined = applied(document(), moves(document(), best_alone(document(), HISTORY, METRIC))[0])
    assert list(joined.graph.recall) == ["three", "one", "two"]
    assert moves(start, []) == []


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


def test_recomposing_begins_with_what_stood_alone() -> None:
    proposer = Alternation(document(), RewardConfig(), tuner("random"))
    history = list(HISTORY)
    recomposed = []
    for number in range(5, 40):
        found = proposer.propose(brief(number, history))
        reward = 0.5 if number == 5 else 0.1
        history.append(Entry(number=number, candidate=found, evaluation=scored(reward)))
        if found.operator == "recompose":
            recomposed.append(found)
        if len(recomposed) == 2:
            break
    assert [each.name.split(" → ")[0] for each in recomposed] == ["three+one+two", "one+three"]
    assert all(each.values["three.step"] == 2.0 for each in recomposed)
