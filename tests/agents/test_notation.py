from __future__ import annotations

import pytest
import yaml

from evolver.agents.document import parse
from evolver.agents.notation import Inline, dump, load
from evolver.errors import ConfigError
from tests.agents.programs import RANKING, TWO

BOMB = "a: &a [x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n"
    for old, new in zip("abcdefghi", "bcdefghij", strict=True)
)
"""Nine to the ninth elements, were it written out."""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB, "aliases are not read"),
        ("a: 1\na: 2\n", "'a' is given twice"),
        ("a: [" * 5000, "not YAML"),
        ("a: 2026-99-99\n", "not YAML"),
        ("a: " + "9" * 5000 + "\n", "not YAML"),
        ("a: !!python/object/apply:os.system [id]\n", "not YAML"),
        ("a: {b\n", "not YAML"),
    ],
)
def test_what_means_harm_or_is_a_slip_is_refused_in_one_line(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        load(text)
    assert "\n" not in str(caught.value)


def test_a_bomb_in_a_pipeline_is_refused_before_it_is_written_out() -> None:
    with pytest.raises(ConfigError, match="aliases"):
        parse(BOMB + "agents: {x: *j}\n")


def test_what_is_written_reads_back() -> None:
    value = {"one": Inline(stage="recall", values={"x": 1}), "text": "a\n  b\n", "wide": "x " * 80}
    assert load(dump(value, width=1000)) == value
    assert "one: {stage: recall, values: {x: 1}}" in dump(value, width=1000)


def test_a_program_has_to_meet_the_contract_of_its_agents_stage() -> None:
    agents = {**TWO["agents"], "odd": {"stage": "recall", "source": RANKING}}  # type: ignore[dict-item]
    with pytest.raises(ConfigError, match=r"agent odd: .*class Model lacks score"):
        parse(yaml.safe_dump({**TWO, "agents": agents}))
