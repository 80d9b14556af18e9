from __future__ import annotations

from collections.abc import Mapping

import pytest

from evolver.agents.document import parse
from evolver.agents.space import applied, composition, own, parameters, point_of
from evolver.core import Value
from evolver.tune.points import problem
from evolver.tune.registry import tuner
from tests.agents.programs import document


def test_the_document_is_the_point_of_its_defaults() -> None:
    toy = document(merge={"how": "fusion", "constant": 10.0})
    assert problem(parameters(toy), point_of(toy)) is None
    assert applied(toy, point_of(toy)).graph == toy.graph
    assert applied(toy, {}).graph == toy.graph
    assert point_of(toy)["one.step"] == 3
    assert point_of(toy)["two.step"] == 7


@pytest.mark.parametrize("seed", range(12))
def test_every_point_of_the_space_is_a_pipeline(seed: int) -> None:
    toy = document()
    point = tuner("random").suggest(parameters(toy), [], seed)
    found = applied(toy, point)
    assert parse(found.text()) == found
    served = {n for n in toy.agents if point[f"graph.use.{n}"]} or {"one"}
    assert set(found.graph.recall) == served
    for name in served & {n for n in toy.agents if point[f"graph.use.{n}"]}:
        assert found.graph.recall[name] == point[f"graph.quota.{name}"]
        assert found.agents[name].values["step"] == point[f"{name}.step"]


def test_order_quotas_and_values_reach_the_pipeline() -> None:
    values: Mapping[str, Value] = {
        "graph.merge": "round_robin",
        "graph.first": "two",
        "graph.quota.two": 44,
        "two.step": 9,
    }
    found = applied(document(), values)
    assert list(found.graph.recall.items()) == [("two", 44), ("one", 20)]
    assert found.agents["two"].values["step"] == 9
    assert found.agents["one"].values["step"] == 3


def test_a_pipeline_of_one_agent_has_that_agents_parameters_alone() -> None:
    alone = parse(
        "agents: {popularity: {stage: recall, program: zoo/popularity}}\n"
        "graph: {recall: {popularity: 200}}\n"
    )
    assert [p.name for p in parameters(alone)] == ["popularity.half_life_days"]
    assert parameters(alone)[0].when is None
    assert composition(alone) == ()


def test_an_agents_tunables_exist_where_it_serves() -> None:
    assert {p.when for p in own(document(), "three")} == {("graph.use.three", (True,))}


def test_a_document_beyond_the_usual_bounds_lies_in_its_own_space() -> None:
    wide = document(recall={"one": 3, "two": 900}, merge={"how": "fusion", "constant": 0.25})
    assert applied(wide, {}) == wide
    assert applied(wide, point_of(wide)).graph == wide.graph
