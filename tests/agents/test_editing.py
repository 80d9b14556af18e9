"""What an author of pipelines sees, what an answer stands for, and what a step allows."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from evolver import zoo
from evolver.agents.document import Document, parse
from evolver.agents.editing import FORM, edited, fault, finder, shown
from evolver.agents.rounds import RECOMPOSE, REFINE, Step
from evolver.agents.space import applied, composition, parameters
from evolver.core import Candidate, Entry, Failed
from evolver.errors import ConfigError
from evolver.propose.context import PENDING
from evolver.propose.parse import read
from tests.agents.programs import RECALL
from tests.agents.written import POOL

MINE = RECALL.replace("Lists items by a number of its own", "A version of mine")
REFINING = Step(0, 0, REFINE, "one")
RECOMPOSING = Step(0, 3, RECOMPOSE)


def of(document: Document, number: int = 7) -> Entry:
    candidate = Candidate(source=document.text())
    return Entry(number=number, candidate=candidate, evaluation=PENDING)


def answered(text: str, parent: Document | None = None, focus: str = "") -> Document:
    parent = POOL if parent is None else parent
    return edited(text, parent, finder([of(parent)]), focus)


def test_a_document_is_shown_with_one_program_and_the_values_that_differ() -> None:
    document = POOL.with_values("two", {"step": 7, "share": 0.25})  # 7 is the default
    text = shown(document, 7, ("one",))
    found = yaml.safe_load(text)
    assert found["agents"]["one"]["source"] == RECALL
    assert found["agents"]["two"] == {
        "stage": "recall",
        "program": "candidate/7/two",
        "values": {"share": 0.25},
    }
    assert "  mmr: {stage: reranking, program: zoo/mmr}\n" in text
    assert "depth: 20" in text
    assert "head" not in text  # nobody re-ranks
    assert "constant" not in text


def test_tabs_and_blanks_at_the_ends_of_lines_do_not_spoil_the_block() -> None:
    program = MINE.replace("FAMILY", "X = 1  \nif X:\n\tY = 2\nFAMILY")
    document = POOL
    agents = dict(document.agents)
    agents["one"] = agents["one"].model_copy(update={"source": program})
    text = shown(document.model_copy(update={"agents": agents}), 7, ("one",))
    assert "      X = 1\n      if X:\n          Y = 2\n" in text


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_what_is_shown_reads_back_as_the_same_pipeline(data: st.DataObject) -> None:
    document = POOL
    values = {}
    for p in parameters(document):
        if p.kind == "choice":
            values[p.name] = data.draw(st.sampled_from(p.choices))
        else:
            number = data.draw(st.floats(p.low, p.high))
            values[p.name] = round(number) if p.kind == "int" else number
    made = applied(document, values)
    written = data.draw(st.sets(st.sampled_from(sorted(made.agents))))
    again = answered(shown(made, 7, written), made)
    assert fault(REFINING, made, again) is None
    assert fault(RECOMPOSING, made, again) is None
    assert shown(again, 7) == shown(made, 7)


def test_an_answer_may_leave_out_what_it_keeps() -> None:
    made = answered("graph:\n  recall: {three: 20, one: 12}\n")
    assert made.serving == ("three", "one")
    assert made.graph.ranking is None  # a graph is given whole
    assert made.agents == POOL.agents
    made = answered("agents:\n  one: {values: {step: 9}}\n")
    assert made.agents["one"].source == RECALL
    assert made.agents["one"].values == {"step": 9}
    assert made.graph == POOL.graph
    made = answered("agents:\n  one: {program: zoo/popularity}\n")
    assert made.agents["one"].source == zoo.source("popularity")
    assert made.agents["one"].stage == "recall"
    assert made.agents["one"].values == {}  # they were the other program's


def test_programs_of_candidates_are_taken_by_name() -> None:
    other = answered(MINE, focus="one")
    find = finder([of(POOL), of(other, 9)])
    made = edited("agents: {new: {stage: recall, program: candidate/9/one}}\n", POOL, find)
    assert made.agents["new"].source == MINE


def test_a_program_alone_is_the_refined_agents() -> None:
    made = answered(MINE, focus="one")
    assert made.agents["one"].source == MINE
    assert fault(REFINING, POOL, made) is None
    with pytest.raises(ConfigError, match="program by itself"):
        answered(MINE)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("agents: {one: {program: zoo/genius}}\n", "no zoo model is called 'genius'; there are"),
        ("agents: {one: {program: mine.py}}\n", "there is no program 'mine.py'; name zoo/NAME or"),
        ("agents: {one: {program: candidate/8/one}}\n", "there is no such pipeline"),
        ("agents: {one: {program: candidate/7/four}}\n", "its agents are calibration, dpp, "),
        ("agents: {one: {program: ../../../etc/passwd}}\n", "there is no program"),
        ("agents: {new: {program: zoo/mmr}}\n", "agents.new.stage"),
        ("agents: {new: {stage: recall, program: zoo/mmr}}\n", "agent new: .*lacks score"),
        ("agents: {one: {values: {step: 900}}}\n", "agent one: tunable 'step'"),
        ("agents: [one]\n", "give each agent by its name"),
        ("agents: {one: zoo/ials}\n", "agents.one"),
        ("graph: {recall: {nobody: 10}}\n", "graph.recall names 'nobody', which is no agent"),
        ("graph: {recall: {}}\n", "at least one has to recall"),
        ("graph: {recall: {one: 10}, boost: 3}\n", "graph.boost"),
        ("graph: nothing\n", "graph"),
        ("agents: {one: {values: {step: 9}}\n", "not YAML"),
    ],
)
def test_what_is_wrong_with_an_answer_is_said_in_a_line(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        answered(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("agents: {two: {values: {step: 9}}}\n", "changes two too"),
        ("agents: {new: {stage: recall, program: zoo/ease}}\n", "changes new too"),
        ("graph: {recall: {one: 12, two: 13}, ranking: ranker, depth: 20}\n", "graph.recall too"),
        ("graph: {recall: {two: 12, one: 12}, ranking: ranker, depth: 20}\n", "graph.recall too"),
        ("graph: {recall: {one: 12, two: 12}, ranking: null}\n", "graph.ranking, graph.depth too"),
        (
            "agents: {one: {stage: ranking, program: zoo/fm}}\ngraph: {recall: {two: 12}}\n",
            "changes the stage of one, graph.recall",
        ),
    ],
)
def test_a_refined_agent_is_all_that_may_change(text: str, said: str) -> None:
    told = fault(REFINING, POOL, answered(text))
    assert told is not None
    assert told.startswith("this step refines agent one and nothing else")
    assert said in told


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("graph: {recall: {three: 12}, merge: {how: fusion}, reranking: mmr}\n", True),
        ("agents: {new: {stage: recall, program: zoo/ease}}\ngraph: {recall: {new: 9}}\n", True),
        ("agents: {three: {values: {step: 9}}}\ngraph: {recall: {three: 9}}\n", True),
        ("agents: {one: {values: {step: 9}}}\ngraph: {recall: {one: 9}}\n", False),
        ("agents: {one: {program: zoo/ease}}\ngraph: {recall: {one: 9}}\n", False),
        ("agents: {three: {program: zoo/ease}}\ngraph: {recall: {three: 9}}\n", False),
    ],
)
def test_agents_stay_as_they_are_while_the_graph_is_recomposed(text: str, allowed: bool) -> None:
    told = fault(RECOMPOSING, POOL, answered(text))
    assert (told is None) is allowed
    if told is not None:
        assert "leave that as it is, or give a new version a name of its own" in told


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        ("IDEA: x\nEXPECT: y\n```yaml\ngraph:\n  recall: {one: 3}\n```\n", "graph:"),
        (f"IDEA: x\nEXPECT: y\n```python\n{MINE}```\n", '"""A version of mine'),
        ("```yaml\nagents: {}\n```\nor rather\n```yaml\ngraph: {}\n```\n", "graph: {}"),
    ],
)
def test_a_document_or_a_program_is_found_in_a_reply(reply: str, found: str) -> None:
    answer = read(reply, form=FORM)
    assert not isinstance(answer, Failed)
    assert answer.source.startswith(found)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ("```yaml\ngraph:\n  recall: {one", "was cut before the code block ended"),
        ("```yaml\nrecall: {one: 3}\n```", "no block begins a line with `agents:` or `graph:`"),
        ("graph: {recall: {one: 3}}", "not in a fence; send it in one ```yaml block"),
        ("I would use iALS.", "send the whole file in one ```yaml block"),
    ],
)
def test_a_reply_without_a_document_is_told_so(reply: str, said: str) -> None:
    answer = read(reply, form=FORM)
    assert isinstance(answer, Failed)
    assert said in answer.reason


def test_every_choice_of_the_graph_can_be_said() -> None:
    """What typed search may choose, an author may write."""
    document = POOL
    for p in composition(document):
        for choice in p.choices:
            made = applied(document, {p.name: choice})
            assert answered(shown(made, 7), made).graph.merge.how == made.graph.merge.how
            assert parse(answered(shown(made, 7), made).text()).serving == made.serving
