"""Requests as files: atomic, resumable, several at once."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from evolver.config import ProposeConfig
from evolver.core import Candidate, Unusable
from evolver.errors import AwaitingAnswer, BudgetSpent, UsageError
from evolver.propose.llm import LLMProposer
from evolver.propose.mailbox import Mailbox, MailboxProposer
from evolver.testing import MemoryLedger
from tests.propose.samples import SOURCE, brief, good_reply
from tests.propose.test_prompted import Scripted


def proposer(
    folder: Path,
    ledger: MemoryLedger | None = None,
    *,
    wait: bool = True,
    pause: Callable[[float], bool] | None = None,
) -> MailboxProposer:
    return MailboxProposer(
        ProposeConfig(), ledger or MemoryLedger(), folder, wait=wait, pause=pause
    )


def place(folder: Path, request_id: str, text: str, age: float = 5.0) -> Path:
    """An answer as an agent leaves it."""
    temporary = folder / f"{request_id}.answer.tmp"
    temporary.write_text(text, encoding="utf-8")
    then = time.time() - age
    os.utime(temporary, (then, then))
    answer = folder / f"{request_id}.answer.md"
    temporary.rename(answer)
    return answer


def test_an_answer_file_becomes_a_candidate(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    box = Mailbox(tmp_path)

    def answer(_: float) -> bool:
        [request] = box.open_requests()
        assert request.number == 7
        assert "class Model" in request.text
        assert f"{request.id}.answer.md" in request.text
        place(tmp_path, request.id, good_reply())
        return False

    made = proposer(tmp_path, ledger, pause=answer).propose(brief())
    assert isinstance(made, Candidate)
    assert (made.source, made.proposer, made.model) == (SOURCE, "mailbox", "mailbox")
    assert ledger.exchanges[0].usd is None
    assert ledger.exchanges[0].tokens_out > 0
    assert box.open_requests() == []
    assert len(list((tmp_path / "done").iterdir())) == 2
    again = proposer(tmp_path, ledger, wait=False).propose(brief())
    assert again == made


def test_without_waiting_the_request_stays_open_and_is_answered_later(tmp_path: Path) -> None:
    with pytest.raises(AwaitingAnswer):
        proposer(tmp_path, wait=False).propose(brief())
    with pytest.raises(AwaitingAnswer):  # asked again after a kill: the same file
        proposer(tmp_path, wait=False).propose(brief())
    [request] = Mailbox(tmp_path).open_requests()
    Mailbox(tmp_path).answer(request.id, good_reply())
    assert Mailbox(tmp_path).open_requests() == []
    assert isinstance(proposer(tmp_path, wait=False).propose(brief()), Candidate)


def test_a_kill_between_reading_and_recording_loses_nothing(tmp_path: Path) -> None:
    with pytest.raises(AwaitingAnswer):
        proposer(tmp_path, wait=False).propose(brief())
    [request] = Mailbox(tmp_path).open_requests()
    place(tmp_path, request.id, good_reply())
    assert Mailbox(tmp_path).collect(request.id) is not None  # read; killed before it is recorded
    assert isinstance(proposer(tmp_path, wait=False).propose(brief()), Candidate)
    (tmp_path / "done" / f"{request.id}.request.md").rename(request.path)  # killed before its move
    assert Mailbox(tmp_path).open_requests() == []


@pytest.mark.parametrize(
    ("signed", "usual", "who"),
    [("", "", ""), ("", "coding agent", "coding agent"), ("Ada", "coding agent", "Ada")],
)
def test_who_answered_is_recorded_with_the_candidate(
    tmp_path: Path, signed: str, usual: str, who: str
) -> None:
    config, ledger = ProposeConfig(author=usual), MemoryLedger()
    asking = MailboxProposer(config, ledger, tmp_path, wait=False)
    with pytest.raises(AwaitingAnswer):
        asking.propose(brief())
    [request] = Mailbox(tmp_path).open_requests()
    Mailbox(tmp_path).answer(request.id, good_reply(), signed)
    made = asking.propose(brief())
    assert isinstance(made, Candidate)
    assert (made.author, made.source, made.idea) == (who, SOURCE, "count what is taken")
    assert asking.propose(brief()) == made  # from the ledger


@pytest.mark.parametrize("name", ["x" * 81, "a --> b", "two\nlines"])
def test_a_name_that_cannot_be_signed_with_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(AwaitingAnswer):
        proposer(tmp_path, wait=False).propose(brief())
    [request] = Mailbox(tmp_path).open_requests()
    with pytest.raises(UsageError, match="at most 80"):
        Mailbox(tmp_path).answer(request.id, good_reply(), name)
    assert Mailbox(tmp_path).open_requests() == [request]


def test_a_model_cannot_sign_for_somebody_else(tmp_path: Path) -> None:
    reply = "<!-- evolver author: Ada -->\n" + good_reply()
    asked = LLMProposer(
        ProposeConfig(models=("m/a",)), MemoryLedger(), client=Scripted(lambda _: reply)
    )
    made = asked.propose(brief())
    assert isinstance(made, Candidate)
    assert made.author == ""


def test_several_requests_are_open_at_once(tmp_path: Path) -> None:
    box = Mailbox(tmp_path)
    asking = proposer(tmp_path, pause=lambda _: time.sleep(0.01) is not None)
    made: dict[int, Candidate | Unusable] = {}

    def run(number: int) -> None:
        made[number] = asking.propose(brief(number=number))

    threads = [threading.Thread(target=run, args=(number,)) for number in (3, 4, 5)]
    for thread in threads:
        thread.start()
    while len(box.open_requests()) < 3:
        time.sleep(0.01)
    assert [request.number for request in box.open_requests()] == [3, 4, 5]
    for request in reversed(box.open_requests()):
        box.answer(request.id, good_reply(SOURCE + f"# {request.number}\n"))
    for thread in threads:
        thread.join()
    for number in (3, 4, 5):
        candidate = made[number]
        assert isinstance(candidate, Candidate)
        assert candidate.source.endswith(f"# {number}\n")


def test_an_answer_that_may_still_grow_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(AwaitingAnswer):
        proposer(tmp_path, wait=False).propose(brief())
    [request] = Mailbox(tmp_path).open_requests()
    place(tmp_path, request.id, "", age=60)
    assert Mailbox(tmp_path).collect(request.id) is None
    place(tmp_path, request.id, "IDEA: half", age=-60)
    assert Mailbox(tmp_path).collect(request.id) is None
    place(tmp_path, request.id, good_reply(), age=60)
    assert Mailbox(tmp_path).collect(request.id) == good_reply()


def test_a_bad_answer_is_asked_for_again_with_the_reason(tmp_path: Path) -> None:
    box = Mailbox(tmp_path)
    seen: list[str] = []

    def answer(_: float) -> bool:
        [request] = box.open_requests()
        seen.append(request.text)
        box.answer(request.id, "I would rather not." if len(seen) == 1 else good_reply())
        return False

    assert isinstance(proposer(tmp_path, pause=answer).propose(brief()), Candidate)
    assert len(seen) == 2
    assert seen[1].count("<!-- evolver part: user -->") == 2
    assert "holds no code" in seen[1]
    assert "I would rather not." in seen[1]


def test_waiting_ends_with_the_time_or_when_closed(tmp_path: Path) -> None:
    with pytest.raises(BudgetSpent, match="time"):
        proposer(tmp_path, pause=lambda _: False).propose(brief(seconds_left=0.01))
    asking = proposer(tmp_path)
    asking.close()
    with pytest.raises(BudgetSpent, match="closed"):
        asking.propose(brief())


def test_a_request_for_the_same_candidate_replaces_the_old_one(tmp_path: Path) -> None:
    for seed in (0, 1):
        with pytest.raises(AwaitingAnswer):
            proposer(tmp_path, wait=False).propose(brief(seed=seed, profile={"users": seed}))
    assert len(Mailbox(tmp_path).open_requests()) == 1


def test_an_answer_to_a_request_that_was_replaced_is_taken(tmp_path: Path) -> None:
    with pytest.raises(AwaitingAnswer):
        proposer(tmp_path, wait=False).propose(brief(profile={"users": 1}))
    [old] = Mailbox(tmp_path).open_requests()
    Mailbox(tmp_path).answer(old.id, good_reply())
    changed = brief(profile={"users": 2})
    assert isinstance(proposer(tmp_path, wait=False).propose(changed), Candidate)
    assert isinstance(proposer(tmp_path, wait=False).propose(changed), Candidate)
    assert Mailbox(tmp_path).open_requests() == []
    assert not list(tmp_path.glob("*.md"))
    with pytest.raises(AwaitingAnswer):  # it is no answer for another candidate
        proposer(tmp_path, wait=False).propose(brief(number=8))


@pytest.mark.parametrize(
    ("request_id", "text", "words"),
    [("0001-00000000", "x", "none is open|open: 0007"), ("", " ", "no open request")],
)
def test_answers_to_nothing_are_refused(
    tmp_path: Path, request_id: str, text: str, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        Mailbox(tmp_path).answer(request_id, text)


def test_empty_and_huge_answers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AwaitingAnswer):
        proposer(tmp_path, wait=False).propose(brief())
    [request] = Mailbox(tmp_path).open_requests()
    for text in (" \n", "x" * 400_001):
        with pytest.raises(UsageError):
            Mailbox(tmp_path).answer(request.id, text)


def test_foreign_files_are_ignored(tmp_path: Path) -> None:
    (tmp_path / "x.request.md").write_text("?")
    (tmp_path / "0001-abcdefgh.request.md").write_text("?")
    assert Mailbox(tmp_path).open_requests() == []
