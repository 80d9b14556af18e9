from __future__ import annotations

from pathlib import Path

import pytest

from evolver.agents.document import AgentSpec
from evolver.agents.registry import FILE, Registry
from evolver.errors import ArchiveError, UsageError
from tests.agents.programs import RECALL


def spec(step: int) -> AgentSpec:
    return AgentSpec(stage="recall", source=RECALL, values={"step": step})


@pytest.fixture
def known(tmp_path: Path) -> Registry:
    registry = Registry(tmp_path)
    for step in (3, 4, 5):
        registry.register("ials", spec(step), f"run #{step}")
    return registry


def test_the_first_version_is_the_incumbent_until_another_is_promoted(known: Registry) -> None:
    first, second, _ = known.versions("ials")
    assert known.incumbent("ials") == first
    known.judged(second, promoted=False, why="it wins alone and hurts the whole")
    assert known.incumbent("ials") == first
    known.judged(second, promoted=True, why="better twice", p=0.01)
    assert known.incumbent("ials") == second


def test_the_same_program_with_the_same_values_is_the_same_version(known: Registry) -> None:
    assert known.register("ials", spec(4)).number == 2
    assert len(known.versions("ials")) == 3


def test_rolling_back_brings_back_what_served_before(known: Registry) -> None:
    versions = known.versions("ials")
    known.judged(versions[1], promoted=True, why="better")
    known.judged(versions[2], promoted=True, why="better")
    assert known.rollback("ials").number == 2
    assert known.incumbent("ials").number == 2
    assert known.rollback("ials", to=1, why="complaints").number == 1
    kinds = [event.kind for event in known.history("ials")]
    assert kinds == ["registered"] * 3 + ["promoted"] * 2 + ["rolled back"] * 2
    assert known.history("ials")[-1].why == "complaints"


def test_what_was_recorded_is_there_when_it_is_opened_again(known: Registry) -> None:
    known.judged(known.versions("ials")[1], promoted=True, why="better", p=0.02)
    again = Registry(known.place.parent)
    assert again.agents == ("ials",)
    assert again.versions("ials") == known.versions("ials")
    assert again.incumbent("ials").spec == spec(4)
    assert again.history("ials")[-1].evidence == {"p": 0.02}


def test_a_line_that_a_crash_cut_never_counted_and_harms_nobody(known: Registry) -> None:
    with known.place.open("a") as file:
        file.write('{"kind": "promoted", "agent": "ials", "vers')
    again = Registry(known.place.parent)
    assert again.incumbent("ials").number == 1
    again.judged(again.versions("ials")[2], promoted=True, why="better")
    assert Registry(known.place.parent).incumbent("ials").number == 3


def test_a_file_that_was_spoilt_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("nonsense\n")
    with pytest.raises(ArchiveError, match="not JSON"):
        Registry(tmp_path)


def test_what_is_not_there_is_said(known: Registry) -> None:
    with pytest.raises(UsageError, match="there are: ials"):
        known.versions("ease")
    with pytest.raises(UsageError, match="versions 1 to 3, not 9"):
        known.rollback("ials", to=9)
    with pytest.raises(UsageError, match="one incumbent only"):
        known.rollback("ials")
    with pytest.raises(UsageError, match="is for recall"):
        known.register("ials", spec(3).model_copy(update={"stage": "ranking"}))
