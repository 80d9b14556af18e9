"""Whole runs of pipelines that somebody writes: a model over HTTP, an agent by files, a record."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evolver import assemble
from evolver import run as runs
from evolver.agents.rounds import step_of
from evolver.config import RunConfig
from evolver.core import Entry, Failed, Scored
from evolver.credits import best_pipeline, document_of
from evolver.errors import UsageError
from evolver.evolve import Ending
from evolver.propose.mailbox import Mailbox
from evolver.versions import challenge
from tests.agents.inside import InProcess
from tests.agents.programs import pool
from tests.agents.test_search import write_data
from tests.agents.written import MINE, reply
from tests.propose.openai_server import Act, serving


def make(place: Path, candidates: int, **propose: object) -> runs.Run:
    place.mkdir(parents=True, exist_ok=True)
    config = RunConfig.model_validate(
        {
            "task": "pipeline",
            "data": {"path": str(write_data(place, 80))},
            "split": {"kind": "order"},
            "budget": {"candidates": candidates},
            "execute": {"workers": 1, "threads": 1, "device": "cpu", "in_flight": 1},
            "propose": {"pipeline": pool().text(), **propose},
            "baseline_share": 0.1,
        }
    )
    return runs.create(config, place / "run")


def go(opened: runs.Run, *, wait: bool = True) -> Ending:
    sandbox = opened.staged(InProcess())
    return assemble.search(opened, sandbox=sandbox, finals=False, wait=wait).go()


def answer(text: str) -> str:
    """Another one for each request, and what its step allows."""
    number = int(re.findall(r"This is proposal (\d+)", text)[-1])
    step = re.findall(r"step that is due is \*([^*]+)\*", text)[-1]
    agent = step.split()[-1]
    if "recompose" in step:
        return reply(f"graph: {{recall: {{three: {number}, one: 12}}, reranking: mmr}}\n")
    if number == 2:
        return reply(MINE, "python", "a program")
    name, value = ("weight", number / 3.7) if agent == "ranker" else ("step", 20 + number)
    return reply(f"agents: {{{agent}: {{values: {{{name}: {value}}}}}}}\n", idea=f"no {number}")


def echo(request: dict[str, Any]) -> str:
    return "ready" if len(request["messages"]) == 1 else answer(request["messages"][1]["content"])


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")


def steps(entries: list[Entry]) -> list[str]:
    return [e.candidate.direction for e in entries]


def test_a_model_refines_every_agent_and_recomposes_and_nothing_is_asked_twice(
    tmp_path: Path,
) -> None:
    pytest.importorskip("litellm", reason="needs the extra: pip install 'evolver[llm]'")
    with serving(Act(echo=echo)) as server:
        model = {"proposer": "llm", "models": ["openai/scripted"], "api_base": server.base}
        opened = make(tmp_path, 5, **model)
        assert go(opened) is Ending.CANDIDATES
        opened.archive.close()
        again = runs.reopen(tmp_path / "run")
        budget = again.config.budget.model_copy(update={"candidates": 10})
        again.config = again.config.model_copy(update={"budget": budget})
        assert go(again) in (Ending.CANDIDATES, Ending.SATURATED)
        asked = [str(request["messages"]) for request in server.requests]
    entries = again.archive.history()
    assert [e.candidate.proposer for e in entries[:3]] == ["baseline", "alternation", "llm"]
    assert entries[1].candidate.operator == "start"
    assert all(isinstance(e.evaluation, Scored) for e in entries)
    paid = [text for text in asked if "the one word" not in text]
    assert len(paid) == len(set(paid)) == len(entries) - 2
    assert document_of(entries[2]).agents["one"].source == MINE
    kinds = {step.kind for e in entries[2:] if (step := step_of(e.candidate.direction))}
    assert kinds == {"refine", "recompose"}
    assert document_of(entries[-1]).serving == ("three", "one", "mmr")
    best = best_pipeline(again)
    assert best is not None
    assert best.number >= 1
    challenger, base = challenge(again, "one")
    assert step_of(challenger.candidate.direction)
    assert challenger.candidate.parents[0] == base.candidate.id


def test_a_hybrid_shares_the_steps_with_the_alternation(tmp_path: Path) -> None:
    pytest.importorskip("litellm", reason="needs the extra: pip install 'evolver[llm]'")
    with serving(Act(echo=echo)) as server:
        opened = make(tmp_path, 8, models=["openai/scripted"], api_base=server.base)
        assert go(opened) is Ending.CANDIDATES
    entries = opened.archive.history()
    assert {e.candidate.proposer for e in entries[2:]} == {"llm", "alternation"}
    tuned = [e for e in entries[2:] if e.candidate.proposer == "alternation"]
    written = {e.candidate.source for e in entries[2:] if e.candidate.proposer == "llm"}
    assert any(e.candidate.source in written for e in tuned)  # numbers of what a model wrote
    assert all(step_of(e.candidate.direction) for e in entries[2:])


def handed_in(box: Mailbox, write: Callable[[str], str] = answer) -> None:
    for request in box.open_requests():
        box.answer(request.id, write(request.text))


def test_answers_come_as_files_and_the_record_repeats_them(tmp_path: Path) -> None:
    opened = make(tmp_path / "a", 5, proposer="mailbox", author="Ada")
    box = Mailbox(opened.folder / "mailbox")
    assert go(opened, wait=False) is Ending.ANSWERS
    [request] = box.open_requests()
    assert request.number == 2
    box.answer(request.id, reply("agents: {two: {values: {step: 9}}}\n"))
    assert go(opened, wait=False) is Ending.ANSWERS
    [again] = box.open_requests()
    assert "refines agent one and nothing else" in again.fault
    while box.open_requests():
        handed_in(box)
        ending = go(opened, wait=False)
    assert ending is Ending.CANDIDATES
    entries = opened.archive.history()
    assert [e.candidate.author for e in entries] == ["", "", "Ada", "Ada", "Ada"]
    assert steps(entries)[2] == "round 1.1: refine one"
    opened.archive.close()
    repeated = make(tmp_path / "b", 5, proposer="replay", replay=str(tmp_path / "a" / "run"))
    assert go(repeated) is Ending.CANDIDATES
    same = repeated.archive.history()
    assert [e.candidate for e in same[1:]] == [e.candidate for e in entries[1:]]
    assert [e.score("reward@10") for e in same] == [e.score("reward@10") for e in entries]


def test_an_agent_that_crashes_is_named_and_its_repair_is_asked_for(tmp_path: Path) -> None:
    opened = make(tmp_path, 12, proposer="mailbox")
    box = Mailbox(opened.folder / "mailbox")
    broken = MINE.replace("self.popularity = train", "1 / 0; self.popularity = train")
    go(opened, wait=False)
    handed_in(box, lambda text: reply(broken, "python"))
    go(opened, wait=False)
    failed = opened.archive.history()[2]
    assert isinstance(failed.evaluation, Failed)
    assert failed.evaluation.reason.startswith("agent one: ")
    for _ in range(6):
        texts = [request.text for request in box.open_requests()]
        if any("# A candidate that failed: #2" in text for text in texts):
            break
        handed_in(box)
        go(opened, wait=False)
    assert any("division by zero" in text for text in texts)


def test_pipelines_are_not_drawn_at_random(tmp_path: Path) -> None:
    opened = make(tmp_path, 4, proposer="mailbox", archive=False)
    with pytest.raises(UsageError, match="false goes with single programs"):
        go(opened)
