"""Proposals by prompt, whoever answers: novelty, what can be left out, choice of models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from evolver.config import Feature, ProposeConfig
from evolver.core import Candidate, Entry, Exchange, Failed, Unusable
from evolver.errors import ConfigError
from evolver.evaluate.fingerprint import normalised_digest
from evolver.propose.client import Reply, Request, estimated_tokens
from evolver.propose.llm import LLMProposer
from evolver.propose.operators import ANY, DIRECTIONS
from evolver.propose.prompted import Judgement
from evolver.resources import zoo
from evolver.testing import MemoryLedger
from tests.propose.samples import SOURCE, brief, entry, good_reply


class Scripted:
    """A client that answers at once."""

    def __init__(self, answer: Callable[[Request], str]) -> None:
        self._answer = answer
        self.requests: list[Request] = []

    def send(self, request: Request, *, max_tokens: int, timeout: float) -> Reply:
        self.requests.append(request)
        return Reply(text=self._answer(request), tokens_in=10, tokens_out=5, usd=0.01)

    def price(self, model: str) -> tuple[float, float] | None:
        return (1e-6, 1e-5)

    def output_limit(self, model: str) -> int | None:
        return None


def proposer(
    client: Scripted,
    *,
    models: tuple[str, ...] = ("m/a",),
    ledger: MemoryLedger | None = None,
    judgement: Judgement | None = None,
    without: tuple[Feature, ...] = (),
    archive: bool = True,
) -> LLMProposer:
    return LLMProposer(
        ProposeConfig(models=models, without=without, archive=archive),
        ledger or MemoryLedger(),
        client=client,
        judgement=judgement,
    )


SAME = SOURCE.replace("Popular items first.", "Other words.").replace("    ", "  ")


def test_a_program_that_was_tried_is_not_trained_again() -> None:
    old = entry(3, 0.2, source=SOURCE)
    judgement = Judgement(digest=normalised_digest)
    twin = Scripted(lambda _: good_reply(SAME))
    made = proposer(twin, judgement=judgement).propose(brief([old], number=9))
    assert isinstance(made, Unusable)
    assert "candidate #3 again" in made.why.reason
    assert len(twin.requests) == 2
    assert "candidate #3 again" in twin.requests[1].messages[3]["content"]
    other = Scripted(lambda _: good_reply(SOURCE.replace("** self.power", "* self.power")))
    assert isinstance(proposer(other, judgement=judgement).propose(brief([old])), Candidate)


def test_tuned_values_make_a_program_another_one() -> None:
    tuned = entry(3, 0.2, source=SOURCE, values={"power": 0.5})
    judgement = Judgement(digest=normalised_digest)
    same = SOURCE.replace("default=1.0", "default=0.5")
    made = [
        proposer(Scripted(lambda _, s=s: good_reply(s)), judgement=judgement).propose(
            brief([tuned])
        )
        for s in (SOURCE, same)
    ]
    assert [isinstance(m, Candidate) for m in made] == [True, False]


@pytest.mark.parametrize(
    ("feature", "heading"),
    [
        ("lessons", "What came of each direction"),
        ("diagnostics", "| measured |"),
    ],
)
def test_parts_of_the_prompt_can_be_left_out(feature: Feature, heading: str) -> None:
    history = [entry(n, 0.1 * n, direction="loss") for n in range(1, 6)]
    shown = {}
    for without in ((), (feature,)):
        client = Scripted(lambda _: good_reply())
        asked = proposer(client, without=without)
        for number in range(20):
            asked.propose(brief(history, history[-1:], number=number))
        shown[without] = sum(heading in r.messages[1]["content"] for r in client.requests)
    assert shown[()] > 5
    assert shown[(feature,)] == 0


def test_without_an_archive_each_request_is_a_draft_that_knows_of_no_other() -> None:
    history = [entry(n, 0.1 * n, direction="loss", source=SOURCE) for n in range(1, 6)]
    judgement = Judgement(digest=normalised_digest)
    asked = {}
    for told in ([], history):
        client = Scripted(lambda _: good_reply())
        bare = proposer(client, judgement=judgement, archive=False)
        made = [bare.propose(brief(told, told[-1:], number=n)) for n in range(20)]
        assert all(isinstance(m, Candidate) for m in made)  # a twin is not refused either
        assert {m.operator for m in made if isinstance(m, Candidate)} == {"draft"}
        asked[len(told)] = [r.messages for r in client.requests]
    assert asked[0] == asked[5]
    assert len({str(messages) for messages in asked[5]}) == 20


def test_directions_and_crossover_can_be_left_out() -> None:
    history = [
        *(entry(n, 0.1 * n, direction="loss") for n in range(1, 6)),
        entry(6, 0.3, family="graph"),
    ]
    made: dict[tuple[Feature, ...], list[Candidate]] = {}
    for without in ((), ("directions", "crossover")):
        asked = proposer(Scripted(lambda _: good_reply()), without=without)
        made[without] = [
            m
            for number in range(80)
            if isinstance(
                m := asked.propose(brief(history, history[-2:], number=number)), Candidate
            )
        ]
    assert {m.direction for m in made[("directions", "crossover")]} == {ANY}
    assert len({m.direction for m in made[()]} & set(DIRECTIONS)) > 3
    assert "crossover" in {m.operator for m in made[()]}
    assert "crossover" not in {m.operator for m in made[("directions", "crossover")]}


def test_the_model_that_pays_is_asked_more_than_one_that_costs() -> None:
    ledger = MemoryLedger()
    history = [entry(0, 0.2, proposer="baseline")]
    for number in range(1, 25):
        model = "m/good" if number % 2 else "m/dear"
        ledger.record(
            Exchange(
                request_hash=f"h{number}",
                number=number,
                model=model,
                request="",
                reply="x",
                usd=0.01 if model == "m/good" else 0.5,
            )
        )
        value = 0.2 + (0.01 if model == "m/good" else 0.001) * number
        history.append(
            entry(number, value, direction="loss", model=model, prompt_hash=f"h{number}")
        )
    client = Scripted(lambda _: good_reply())
    judgement = Judgement(per_user=lambda _: {})
    models = ("m/good", "m/dear")
    asked = proposer(client, models=models, ledger=ledger, judgement=judgement)
    for number in range(30, 90):
        asked.propose(brief(history, number=number))
    counts = Counter(request.model for request in client.requests)
    assert counts["m/good"] > 3 * counts["m/dear"]
    models = ("m/good", "m/dear", "m/new")
    asked = proposer(client, models=models, ledger=ledger, judgement=judgement)
    asked.propose(brief(history, number=90))
    assert client.requests[-1].model == "m/new"  # what is unknown is tried once


def settled(made: Candidate | Unusable, number: int, value: float = 0.2) -> Entry:
    """What the archive makes of a proposal."""
    if isinstance(made, Unusable):
        return Entry(number=number, candidate=made.asked, evaluation=made.why)
    return Entry(number=number, candidate=made, evaluation=entry(number, value).evaluation)


def test_a_proposal_that_came_to_nothing_says_what_was_asked_of_whom() -> None:
    history = [entry(n, 0.1 * n, direction="loss") for n in range(1, 6)]
    parent, ledger = history[-1], MemoryLedger()
    asked = proposer(Scripted(lambda _: "no code"), ledger=ledger)
    for number in range(40):
        made = asked.propose(brief(history, [parent], number=number))
        assert isinstance(made, Unusable)
        assert (made.asked.source, made.asked.proposer, made.asked.model) == ("", "llm", "m/a")
        assert made.asked.direction in DIRECTIONS
        assert made.asked.prompt_hash is not None
        assert ledger.recall(made.asked.prompt_hash) is not None
        if made.asked.operator in ("edit", "rewrite", "simplify"):
            assert made.asked.parents == (parent.candidate.id,)
            break
    else:
        pytest.fail("no parent was worked on in 40 plans")


def test_a_model_whose_replies_are_no_candidates_is_not_asked_first_for_ever() -> None:
    def answer(request: Request) -> str:
        n = len(client.requests)
        good = good_reply(SOURCE + f"# {n}\n")
        return "I would rather talk about the weather." if request.model == "m/idle" else good

    client = Scripted(answer)
    asked = proposer(client, models=("m/idle", "m/good"))
    history: list[Entry] = []
    for number in range(40):
        made = asked.propose(brief(history, number=number))
        history.append(settled(made, number, 0.2 + number / 100))
    models = [e.candidate.model for e in history]
    assert models[0] != models[1]  # each is tried once
    assert models[-20:].count("m/good") > 14


def test_directions_that_only_fail_are_drawn_less() -> None:
    class Fails(Scripted):
        def send(self, request: Request, *, max_tokens: int, timeout: float) -> Reply:
            bad = "**loss**" in request.messages[1]["content"]
            self._answer = lambda _: "no" if bad else good_reply(SOURCE + f"# {request.hash}\n")
            return super().send(request, max_tokens=max_tokens, timeout=timeout)

    asked = proposer(Fails(lambda _: ""), judgement=Judgement(per_user=lambda _: {}))
    history: list[Entry] = []
    for number in range(120):
        made = asked.propose(brief(history, number=number))
        found = settled(made, number, 0.2 + number / 1000)
        history.append(found if isinstance(made, Unusable) else replace(found, seconds=1.0))
    counts = Counter(e.candidate.direction for e in history[-60:])
    assert counts["loss"] < 60 / len(DIRECTIONS)
    assert any(isinstance(e.evaluation, Failed) for e in history)


def test_what_the_parent_is_bad_at_is_shown_beside_its_rivals() -> None:
    base = entry(1, 0.2, direction="loss")
    child = entry(2, 0.3, parents=(base.candidate.id,), direction="loss")
    leader = entry(3, 0.4, direction="loss")
    asked: list[tuple[int, list[tuple[str, int]]]] = []

    def diagnose(found: Entry, others: Sequence[tuple[str, Entry]]) -> str:
        asked.append((found.number, [(name, other.number) for name, other in others]))
        return "short histories  0.1 ```"

    shown = {}
    for without in ((), ("diagnostics",)):
        client = Scripted(lambda _: good_reply())
        judgement = Judgement(diagnose=diagnose)
        made = proposer(client, judgement=judgement, without=without)
        for number in range(20):
            made.propose(brief([base, child, leader], [child], number=number))
        shown[without] = sum("short histories" in r.messages[1]["content"] for r in client.requests)
    assert shown[()] > 5
    assert shown[("diagnostics",)] == 0
    assert set(map(str, asked)) == {str((2, [("parent", 1), ("best", 3)]))}


# --- how much is sent ---

TOKENS_A_BYTE = 1 / 3.5
"""What code and English take with usual tokenisers, on the high side."""


def test_the_context_stays_within_its_budget() -> None:
    sources = [p.read_text(encoding="utf-8") for p in zoo().glob("*.py") if p.stat().st_size > 500]
    assert sources
    long = "why " * 400
    history = [
        entry(
            n,
            0.2 + n / 1000,
            source=sources[n % len(sources)] + f"# {n}\n",
            direction="loss",
            idea=long,
            family=f"f{n % 7}",
        )
        for n in range(60)
    ] + [entry(n, Failed(kind="crash", reason=long * 9), direction="loss") for n in range(60, 90)]
    client = Scripted(lambda _: good_reply())
    asked = proposer(client)
    for number in range(30):
        asked.propose(brief(history, [history[55], history[50]], number=number))
    texts = ["".join(m["content"] for m in request.messages) for request in client.requests]
    assert max(len(text.encode()) for text in texts) * TOKENS_A_BYTE < 16_000


def longest(history: Sequence[Entry], budget: int, asked_for: int = 30) -> tuple[int, Counter[str]]:
    """The size of the longest prompt by our own estimate, and what was asked for."""
    client = Scripted(lambda _: good_reply())
    config = ProposeConfig(models=("m/a",), context_tokens=budget)
    asked = LLMProposer(config, MemoryLedger(), client=client)
    made = [
        asked.propose(brief(history, [history[-1], history[-2]], number=number))
        for number in range(asked_for)
    ]
    texts = ["".join(m["content"] for m in request.messages) for request in client.requests]
    operators = Counter(m.operator for m in made if isinstance(m, Candidate))
    return max(map(estimated_tokens, texts)), operators


def test_the_budget_is_kept_and_what_matters_least_goes_first() -> None:
    history = [
        entry(
            n,
            0.2 + n / 1000,
            source=SOURCE + "# words\n" * 100 + f"# {n}\n",
            direction="loss",
            idea="why " * 100,
            family=f"f{n % 5}",
        )
        for n in range(40)
    ]
    whole, _ = longest(history, 100_000)
    assert whole > 5_200
    for budget in (4_400, 4_800, 5_200):
        size, operators = longest(history, budget)
        assert size <= budget
        assert len(operators) > 2


def test_programs_that_do_not_fit_are_left_out_and_a_draft_is_asked_for() -> None:
    huge = SOURCE + "# words\n" * 6_000
    history = [
        entry(n, 0.2 + n / 1000, source=huge + f"# {n}\n", direction="loss", family=f"f{n % 5}")
        for n in range(8)
    ]
    size, operators = longest(history, 8_000, 12)
    assert size <= 8_000
    assert set(operators) == {"draft"}


def test_a_budget_without_room_for_the_task_is_named(tmp_path: Path) -> None:
    (tmp_path / "draft.md.j2").write_text("long " * 10_000)
    config = ProposeConfig(models=("m/a",), prompts=str(tmp_path))
    asked = LLMProposer(config, MemoryLedger(), client=Scripted(lambda _: good_reply()))
    with pytest.raises(ConfigError, match="context_tokens"):
        asked.propose(brief())


def test_prompts_folder_reaches_the_proposer(tmp_path: Path) -> None:
    (tmp_path / "draft.md.j2").write_text("Mine.")
    client = Scripted(lambda _: good_reply())
    config = ProposeConfig(models=("m/a",), prompts=str(tmp_path))
    LLMProposer(config, MemoryLedger(), client=client).propose(brief())
    assert client.requests[0].messages[1]["content"] == "Mine.\n"
