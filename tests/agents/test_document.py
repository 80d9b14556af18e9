from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from evolver.agents.document import parse, read
from evolver.errors import ConfigError
from tests.agents.programs import RECALL, TWO, document


def changed(**parts: object) -> str:
    return yaml.safe_dump({**TWO, **parts})


def of_one(**agent: object) -> str:
    return changed(agents={"one": {"stage": "recall", **agent}}, graph={"recall": {"one": 3}})


def test_a_document_that_is_written_is_read_the_same() -> None:
    before = document(merge={"how": "fusion", "constant": 10.0}, depth=40)
    assert parse(before.text()) == before
    assert parse(before.text()).text() == before.text()
    assert list(parse(before.text()).graph.recall) == ["one", "two"]


def test_programs_come_from_the_zoo_and_from_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(RECALL)
    (tmp_path / "pipeline.yaml").write_text(
        "agents:\n  popularity: {stage: recall, program: zoo/popularity}\n"
        "  mine: {stage: recall, program: mine.py}\n"
        "graph: {recall: {popularity: 10, mine: 20}}\n"
    )
    found = read(tmp_path / "pipeline.yaml")
    assert found.agents["mine"].source == RECALL
    assert "half_life_days" in found.agents["popularity"].source
    assert found.serving == ("popularity", "mine")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1, 2]", "a pipeline holds 'agents' and 'graph'"),
        ("a: [", "not YAML"),
        (changed(graph={"recall": {"four": 3}}), "graph.recall names 'four', which is no agent"),
        (changed(graph={"recall": {}}), "at least one has to recall"),
        (changed(graph={"recall": {"one": 0}}), "graph.recall.one: "),
        (changed(graph={"recall": {"one": 3}, "ranking": "two"}), "'two', an agent for recall"),
        (changed(graph={"recall": {"one": 3}, "deep": 2}), "graph.deep"),
        (of_one(program="zoo/nobody"), "no zoo model is called 'nobody'"),
        (of_one(source=RECALL, values={"step": 99}), "agent one: tunable 'step'"),
        (of_one(source="x = 1"), "no top-level `class"),
        (of_one(program="a.py"), "a.py is no zoo/NAME"),
        (of_one(program="zoo/ease", source=RECALL), "give a program or its source"),
    ],
)
def test_faults_are_told_in_one_line(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as fault:
        parse(text)
    assert said in str(fault.value)
    assert "\n" not in str(fault.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing\.yaml"):
        read(tmp_path / "nothing.yaml")


def test_agents_can_be_left_out() -> None:
    left = document().without("one")
    assert left.serving == ("two",)
    assert left.without("two").serving == ()
    assert document().without("three") == document()
