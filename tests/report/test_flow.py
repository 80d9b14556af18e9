"""A pipeline is drawn from recall to what is served, each agent with what it takes and earns."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

import pytest

from evolver.report.data import ReportData
from evolver.report.flow import BARS, MOST_RECALL, Box, Flow, draw_pipeline
from evolver.report.html import render
from evolver.report.shares import UNMEASURED, AgentShare, Shares
from tests.agents.programs import document, pool

from .conftest import HOSTILE

WHOLE = pool(
    recall={"one": 30, "two": 120}, merge={"how": "fusion"}, reranking="mmr", depth=90, head=40
)
AGENTS = (
    AgentShare(agent="one", stage="recall", program="toy", items=30, shapley=0.04, inner=0.5),
    AgentShare(agent="two", stage="recall", program="toy", items=120, shapley=-0.01, error=0.002),
    AgentShare(
        agent="ranker",
        stage="ranking",
        program="toy ranking",
        items=90,
        shapley=0.02,
        leave_one_out=0.03,
        seconds=12.34,
        latency_ms=1.5,
    ),
    AgentShare(agent="mmr", stage="reranking", program="MMR", items=40, shapley=0.0),
)
SHARES = Shares(
    number=7,
    document=WHOLE,
    agents=AGENTS,
    metric="reward@10",
    top=10,
    value=0.125,
    nothing=0.075,
    lines=("Credits are exact.",),
)


def box(flow: Flow, name: str) -> Box:
    return next(each for each in flow.boxes if each.step.name == name)


def test_agents_stand_in_the_order_in_which_they_serve() -> None:
    flow = draw_pipeline(SHARES)
    assert [(each.step.name, each.x) for each in flow.boxes] == [
        ("one", 10),
        ("two", 10),
        ("merge", 214),
        ("ranker", 418),
        ("mmr", 622),
        ("top 10", 826),
    ]
    first, second = flow.boxes[:2]
    assert second.y == first.y + first.height + 14
    middles = {each.y + each.height / 2 for each in flow.boxes[2:]}
    assert middles == {(first.y + second.y + second.height) / 2}
    assert len(flow.edges) == 5  # both retrievers lead to merging, then one after the other
    assert flow.description == "one+two → fusion → ranker → mmr → top 10"
    assert (flow.width, flow.height) == (1000, second.y + second.height + 10)


def test_boxes_say_what_is_recorded_and_no_more() -> None:
    flow = draw_pipeline(SHARES)
    assert box(flow, "one").step.lines == (
        ("recalls", "30 items"),
        ("Shapley", "+0.0400"),
        ("inner reward", "0.5000"),
    )
    assert box(flow, "ranker").step.lines == (
        ("ranks", "90 items"),
        ("Shapley", "+0.0200"),
        ("lost without", "+0.0300"),
        ("one user", "1.50 ms"),
        ("time", "12.3 s"),
    )
    assert box(flow, "mmr").step.lines[0] == ("re-ranks", "40 items")
    assert box(flow, "merge").step.lines == (("by", "fusion"), ("constant", "60"))
    assert box(flow, "top 10").step.lines == (
        ("reward@10", "0.1250"),
        ("without agents", "0.0750"),
    )
    bars = {each.step.name: each.step.bar for each in flow.boxes if each.step.agent}
    assert bars == {"one": 1.0, "two": -0.25, "ranker": 0.5, "mmr": 0.0}


def test_without_credits_there_are_no_bars() -> None:
    plain = tuple(replace(each, shapley=None) for each in AGENTS)
    flow = draw_pipeline(replace(SHARES, agents=plain, nothing=None, lines=(UNMEASURED,)))
    assert flow.lines == (UNMEASURED,)
    assert BARS in draw_pipeline(SHARES).lines
    assert not any(each.step.bar for each in flow.boxes)


def test_one_retriever_needs_no_merging() -> None:
    alone = document(recall={"two": 20})
    flow = draw_pipeline(replace(SHARES, document=alone, agents=AGENTS[1:2]))
    assert [each.step.name for each in flow.boxes] == ["two", "top 10"]


def test_text_lies_within_its_box_and_boxes_apart() -> None:
    flow = draw_pipeline(SHARES)
    for each in flow.boxes:
        places = [each.y, *(y for y, _, _ in each.rows), each.y + each.height]
        assert all(before < after for before, after in pairwise(places))
    for one, other in pairwise(flow.boxes):
        assert one.x + one.width < other.x or one.y + one.height < other.y


def test_of_very_many_retrievers_the_first_are_shown() -> None:
    many = tuple(
        AgentShare(agent=f"r{n}", stage="recall", program="toy", items=5)
        for n in range(MOST_RECALL + 3)
    )
    flow = draw_pipeline(replace(SHARES, agents=(*many, *AGENTS[2:])))
    assert flow.left_out == 3
    names = [each.agent for each in flow.agents]
    assert names == [*(f"r{n}" for n in range(MOST_RECALL)), "ranker", "mmr"]


@pytest.fixture
def reported() -> str:
    """The report of a run whose best pipeline has an agent of hostile names."""
    evil = replace(AGENTS[0], agent=HOSTILE, program=HOSTILE)
    data = ReportData(
        run="r",
        metric="reward@10",
        created="now",
        evolver_version="0",
        entries=[],
        agents=("a line",),
        pipeline=replace(SHARES, agents=(evil, *AGENTS[1:])),
    )
    return render(data)


def test_the_report_draws_it_with_a_title_and_the_same_figures(reported: str) -> None:
    drawn = reported[reported.index('aria-label="Pipeline graph"') :]
    assert '<title id="pipeline-title">Pipeline #7</title>' in drawn
    assert 'aria-labelledby="pipeline-title" aria-describedby="pipeline-flow"' in drawn
    svg, table = drawn.split("</svg>", 1)
    for figure in ("+0.0400", "-0.0100", "+0.0200", "+0.0300", "12.3 s", "1.50 ms"):
        assert figure in svg
        assert figure in table.split("</table>")[0]
    assert "-0.0100 ± 0.0020" in table


def test_hostile_names_are_text(reported: str) -> None:
    for tag in ("<script", "<img", "<a href='j"):
        assert tag not in reported
    assert "&lt;/style&gt;&lt;/script&gt;&lt;…" in reported  # a box has room for little
    assert not re.search("[\x1b\x07\u202e\x9b]", reported)
    assert " style=" not in reported
