from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evolver.agents.criteria import NAMES, Criterion, Judged, check_agent
from evolver.agents.document import Document
from evolver.agents.staged import Staged
from evolver.core import Failed, Scored
from tests.agents.programs import RECALL, pool
from tests.agents.test_stages import CONFIG, TASK, Bed


@pytest.fixture
def bed(tmp_path: Path) -> Bed:
    return Bed(tmp_path)


def met(bed: Bed, document: Document, agent: str) -> dict[str, Criterion]:
    def judge(asked: Document, *, again: bool = False) -> Judged | Failed:
        execution = bed.run(asked, probe=np.arange(1) if again else None)
        found = TASK.evaluate(execution, bed.fold, CONFIG, None)
        if isinstance(execution.outcome, Staged) and isinstance(found, Scored):
            return Judged(staged=execution.outcome, scored=found)
        assert isinstance(found, Failed)
        return found

    return {each.name: each for each in check_agent(document, agent, judge)}


def changed(agent: str, source: str, **graph: object) -> Document:
    document = pool(**graph)
    spec = document.agents[agent].model_copy(update={"source": source, "values": {}})
    return document.model_copy(update={"agents": {**document.agents, agent: spec}})


@pytest.mark.parametrize("agent", ["one", "ranker", "mmr"])
def test_modules_that_meet_all_three(bed: Bed, agent: str) -> None:
    document = pool(reranking="mmr").with_values("mmr", {"relevance": 0.5})
    found = met(bed, document, agent)
    assert [found[name].met for name in NAMES] == [True] * 3, found


def test_a_loop_that_does_not_close_what_is_handed_on_is_not_consumed(bed: Bed) -> None:
    found = met(bed, pool(reranking="identity"), "identity")[NAMES[0]]
    assert not found.met
    assert "not consumed" in found.seen


def test_a_loop_that_does_not_close_no_feedback_comes_back(bed: Bed) -> None:
    """An agent that lists the whole catalogue is told the same whatever it does."""
    found = met(bed, pool(recall={"one": 12, "two": 200}), "two")[NAMES[0]]
    assert not found.met
    assert "its feedback says nothing: 1 for everybody" in found.seen


def test_a_module_that_cannot_be_scored_alone(bed: Bed) -> None:
    broken = RECALL.replace("        order =", "        1 / (users.n_items - 40)\n        order =")
    found = met(bed, changed("two", broken), "two")
    assert not any(each.met for each in found.values())
    assert "division by zero" in found[NAMES[1]].seen


def test_a_module_that_is_not_judged_the_same_twice(bed: Bed) -> None:
    moody = RECALL.replace(
        "        order =", "        order = np.random.rand(users.n_items) * 4000\n        _ ="
    )
    document = changed("two", moody)
    found = met(bed, document, "two")[NAMES[1]]
    assert not found.met
    assert "judged differently" in found.seen


def test_a_space_with_one_point_or_none_that_matters(bed: Bed) -> None:
    deaf = RECALL.replace("self.step = params.step", "self.step = 7")
    found = met(bed, changed("two", deaf), "two")[NAMES[2]]
    assert not found.met
    assert "hand on the same" in found.seen
    identity = met(bed, pool(reranking="identity"), "identity")[NAMES[2]]
    assert not identity.met
    assert "nothing to choose from" in identity.seen
