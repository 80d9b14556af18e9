"""A second model looks at candidates over HTTP: it is heard once, and never has the last word."""

from __future__ import annotations

import json
from typing import Any

import pytest

from evolver.config import ProposeConfig
from evolver.core import Candidate
from evolver.errors import ProposerError
from evolver.propose import reviewer
from evolver.propose.llm import LLMProposer
from evolver.testing import MemoryLedger
from tests.propose.openai_server import Act, Server, serving
from tests.propose.samples import SOURCE, brief, good_reply
from tests.propose.test_llm import WARNINGS, Pauses

pytestmark = WARNINGS
DEFECT = json.dumps(
    {
        "verdict": "defect",
        "defects": [{"kind": "wrong_sign", "line": 20, "why": "power must\nnot be < 0"}],
    }
)
PASS = '{"verdict": "pass", "defects": []}'
BETTER = SOURCE.replace("** self.power", "** abs(self.power)")


def by_model(author: list[str], review: str) -> Act:
    """The author's replies in turn, and one review for all."""
    said = iter(author)

    def echo(request: dict[str, Any]) -> str:
        return review if request["model"] == "reviewer" else next(said)

    return Act(echo=echo)


def asked(server: Server, ledger: MemoryLedger | None = None) -> LLMProposer:
    config = ProposeConfig(
        models=("openai/author",), reviewer="openai/reviewer", api_base=server.base
    )
    return LLMProposer(config, ledger or MemoryLedger(), pause=Pauses())


def models(server: Server) -> list[str]:
    return [request["model"] for request in server.requests]


def test_what_passes_is_trained_as_it_is() -> None:
    with serving(by_model([good_reply()], PASS)) as server:
        made = asked(server).propose(brief())
        assert models(server) == ["author", "reviewer"]
        [request] = server.requests[1]["messages"]
    assert isinstance(made, Candidate)
    assert made.source == SOURCE
    assert made.review == ""
    assert "  20 " in request["content"]
    assert "popularity_collapse" in request["content"]


def test_a_defect_goes_back_to_the_author_once_and_then_training_decides() -> None:
    ledger = MemoryLedger()
    with serving(by_model([good_reply(), good_reply(BETTER)], DEFECT)) as server:
        made = asked(server, ledger).propose(brief())
        assert models(server) == ["author", "reviewer", "author", "reviewer"]
        said = server.requests[2]["messages"][3]["content"]
        assert "line 20 (wrong sign): power must not be < 0" in said
        again = asked(server, ledger).propose(brief())  # nothing is paid for twice
        assert len(server.requests) == 4
    assert isinstance(made, Candidate)
    assert made.source == BETTER
    assert made.review == "reviewer saw: wrong sign"
    assert again == made
    assert len(ledger.exchanges) == 4
    assert {exchange.number for exchange in ledger.exchanges} == {7}


def test_an_author_who_answers_a_review_with_prose_keeps_the_first_candidate() -> None:
    with serving(by_model([good_reply(), "It is right as it is."], DEFECT)) as server:
        made = asked(server).propose(brief())
    assert isinstance(made, Candidate)
    assert made.source == SOURCE
    assert made.review == "reviewer saw: wrong sign"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Looks good to me!",
        '{"verdict": "pass"}',
        '{"verdict": "defect", "defects": []}',
        '{"verdict": "pass", "defects": [], "score": 0.9}',
        '{"verdict": "defect", "defects": [{"kind": "style", "line": 1, "why": "ugly"}]}',
        '{"verdict": "defect", "defects": [{"kind": "other", "line": "1", "why": "x"}]}',
        "[" * 15_000,
        "x" * 30_000,
    ],
)
def test_garbage_is_ignored_with_a_remark(text: str) -> None:
    with serving(by_model([good_reply()], text)) as server:
        made = asked(server).propose(brief())
        assert models(server) == ["author", "reviewer"]
    assert isinstance(made, Candidate)
    assert made.source == SOURCE
    assert "ignored" in made.review
    assert len(made.review) < 400


def test_a_fence_around_the_answer_is_no_garbage() -> None:
    assert reviewer.read(f"```json\n{PASS}\n```").remark == ""
    assert [d.line for d in reviewer.read(f"\n```\n{DEFECT}\n```\n").defects] == [20]


def test_a_reviewer_that_cannot_be_reached_costs_no_candidate() -> None:
    with serving(Act(text=good_reply()), Act(status=500)) as server:
        made = asked(server).propose(brief())
    assert isinstance(made, Candidate)
    assert made.review.startswith("not reviewed: no model answers")


def test_the_same_purse_pays_for_both() -> None:
    with serving(by_model([good_reply()], PASS)) as server:
        made = asked(server).propose(brief(tokens_left=25_000))
        assert len(server.requests) == 2
    assert isinstance(made, Candidate)
    usage = {"prompt_tokens": 3000, "completion_tokens": 6000, "total_tokens": 9000}
    with serving(Act(text=good_reply(), usage=usage)) as server:
        made = asked(server).propose(brief(tokens_left=11_000))
        assert len(server.requests) == 1
    assert isinstance(made, Candidate)
    assert made.review.startswith("not reviewed: token budget spent")


def test_a_reviewer_that_is_not_there_ends_the_run_before_it_begins() -> None:
    with serving("ready", Act(status=404)) as server:  # both are asked at once, in either order
        with pytest.raises(ProposerError, match=r"openai/(author|reviewer)"):
            asked(server).preflight()
        assert sorted(models(server)) == ["author", "reviewer"]
