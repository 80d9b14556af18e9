"""A language model edits pipelines: a scripted one, over real HTTP."""

from __future__ import annotations

import pytest

from evolver.agents.document import Document, parse
from evolver.config import ProposeConfig
from evolver.core import Candidate, Entry, Unusable
from evolver.propose.llm import LLMProposer
from evolver.testing import MemoryLedger
from tests.agents.written import (
    MINE,
    POOL,
    START,
    STEP_9,
    brief,
    entry,
    judgement,
    reply,
    saturated,
    started,
)
from tests.propose.openai_server import Act, Server, serving
from tests.propose.samples import edit_reply

pytest.importorskip("litellm", reason="needs the extra: pip install 'evolver[llm]'")


def proposer(server: Server, ledger: MemoryLedger | None = None) -> LLMProposer:
    config = ProposeConfig(models=("openai/scripted",), api_base=server.base)
    return LLMProposer(config, ledger or MemoryLedger(), judgement=judgement())


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def answered(
    *replies: str | Act, history: list[Entry] | None = None
) -> tuple[Candidate | Unusable, list[str]]:
    """What comes of replies, and what was asked each time, the last message of it."""
    with serving(*replies) as server:
        found = proposer(server).propose(brief([started()] if history is None else history))
        return found, [request["messages"][-1]["content"] for request in server.requests]


def made(found: Candidate | Unusable) -> Document:
    assert isinstance(found, Candidate), found
    return parse(found.source)


def test_an_edit_of_one_agents_program_becomes_a_pipeline() -> None:
    edit = edit_reply(
        "              order = (np.arange(users.n_items) * self.step) % users.n_items",
        "              order = (np.arange(users.n_items) * self.step + 1) % users.n_items",
    )
    found, _ = answered(edit)
    document = made(found)
    assert "self.step + 1" in document.agents["one"].source
    assert {n: a for n, a in document.agents.items() if n != "one"} == {
        n: a for n, a in POOL.agents.items() if n != "one"
    }
    assert document.graph == POOL.graph
    assert isinstance(found, Candidate)
    assert (found.direction, found.parents) == ("round 1.1: refine one", (START.id,))
    assert (found.family, found.name) == ("pipeline", "one+two → round robin → ranker")
    assert (found.proposer, found.model) == ("llm", "openai/scripted")
    assert found.values == {}


def test_edits_apply_to_the_document_with_its_tuned_values() -> None:
    tuned = POOL.with_values("one", {"step": 3, "share": 0.125})
    base = entry(6, 0.6, tuned, direction="round 1.1: refine one")
    found, asked = answered(
        edit_reply("    values: {step: 3, share: 0.125}", "    values: {step: 3, share: 0.25}"),
        history=[started(), base],
    )
    assert "values: {step: 3, share: 0.125}" in asked[0]
    assert made(found).agents["one"].values == {"step": 3, "share": 0.25}
    assert isinstance(found, Candidate)
    assert found.parents == (base.candidate.id,)


def test_a_whole_program_takes_the_place_of_the_refined_agents() -> None:
    found, _ = answered(reply(MINE, "python"))
    assert made(found).agents["one"].source == MINE


def test_a_recomposition_may_take_agents_from_anywhere() -> None:
    agents = {**POOL.agents, "one": POOL.agents["one"].model_copy(update={"source": MINE})}
    mine = POOL.model_copy(update={"agents": agents})
    written = entry(9, 0.45, mine, direction="round 1.1: refine one")
    answer = (
        "agents:\n"
        "  older: {stage: recall, program: candidate/9/one}\n"
        "  ease: {stage: recall, program: zoo/ease, values: {l2: 200}}\n"
        "graph:\n"
        "  recall: {ease: 100, older: 50}\n"
        "  merge: {how: fusion, constant: 20}\n"
        "  reranking: mmr\n"
    )
    found, asked = answered(reply(answer), history=[started(), written, *saturated()])
    document = made(found)
    assert "The step that is due is *round 1.4: recompose*" in asked[0]
    assert document.serving == ("ease", "older", "mmr")
    assert document.agents["older"].source == MINE
    assert document.agents["ease"].values == {"l2": 200}
    assert set(POOL.agents) < set(document.agents)  # what is not named stays in the pool
    assert isinstance(found, Candidate)
    assert found.direction == "round 1.4: recompose"


OTHER = reply("agents:\n  one: {values: {step: 9}}\n  two: {values: {step: 9}}\n")


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (OTHER, "this step refines agent one and nothing else, and the answer changes two too"),
        (reply("agents: {one: [}\n"), "not YAML"),
        (reply("agents: {one: {program: zoo/genius}}\n"), "no zoo model is called 'genius'"),
        (reply("agents: {one: {values: {step: 99}}}\n"), "agent one: tunable 'step'"),
        (STEP_9[:-10], "was cut before the code block ended"),
        (reply("agents: {one: {values: {step: 3}}}\n"), "this is candidate #5 again"),
        (reply(MINE.replace("def score", "def sc0re"), "python"), "class Model lacks score"),
        (STEP_9.replace("EXPECT: a little more\n", ""), "there is no line `EXPECT: ...`"),
        ("I would rather talk about the weather.", "send the whole file in one ```yaml block"),
    ],
)
def test_what_a_step_or_a_document_does_not_allow_is_sent_back_and_mended(
    bad: str, why: str
) -> None:
    found, asked = answered(bad, STEP_9)
    assert made(found).agents["one"].values == {"step": 9}
    assert len(asked) == 2
    assert why in asked[1]
    twice, _ = answered(bad)
    assert isinstance(twice, Unusable)
    assert why in twice.why.reason
    assert twice.asked.direction == "round 1.1: refine one"  # so that the step wears out


def test_what_differs_in_names_and_pool_only_is_the_same_pipeline() -> None:
    answer = reply(
        "agents:\n  uno: {stage: recall, program: candidate/5/one, values: {step: 3}}\n"
        "graph:\n  recall: {uno: 12, two: 12}\n  ranking: ranker\n  depth: 20\n"
    )
    found, _ = answered(answer, history=[started(), *saturated()])
    assert isinstance(found, Unusable)
    assert "this is candidate #5 again" in found.why.reason


def test_until_the_start_is_judged_it_is_built_on_all_the_same() -> None:
    found, asked = answered(STEP_9, history=[])
    assert "reward@10 not judged yet" in asked[0]
    assert isinstance(found, Candidate)
    assert found.parents == (START.id,)


def test_a_resumed_run_asks_nothing_twice() -> None:
    ledger = MemoryLedger()
    with serving(STEP_9) as server:
        once = proposer(server, ledger).propose(brief([started()]))
        assert proposer(server, ledger).propose(brief([started()])) == once
        assert len(server.requests) == 1
