"""The archive keeps everything, overwrites nothing, and comes back after a kill."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import create_engine, text

from evolver.archive.lock import exclusive
from evolver.archive.select import Tournament
from evolver.archive.store import Added, Archive
from evolver.core import (
    Candidate,
    Completed,
    Entry,
    Evaluation,
    Exchange,
    Execution,
    Failed,
    Limits,
    Progress,
    Scored,
    Stopped,
)
from evolver.errors import ArchiveError
from evolver.run import Plan


def scored(value: float) -> Scored:
    return Scored(
        metrics={"ndcg@10": value},
        per_user={"ndcg@10": np.array([value, 0.5], dtype=np.float32)},
        fit_seconds=1.0,
        score_seconds=0.5,
        latency_ms_p50=0.2,
        latency_ms_p99=0.9,
        parameters=10,
        peak_bytes=1 << 20,
    )


def ran(seconds: float = 2.0) -> Execution:
    done = Completed(
        answers=np.zeros((2, 1), dtype=np.int32),
        fit_seconds=1.0,
        score_seconds=0.5,
        latency_ms=np.array([0.2]),
        parameters=10,
        peak_bytes=1 << 20,
        progress=(Progress(step=1, loss=0.5),),
    )
    return Execution(outcome=done, seconds=seconds, stdout="out", stderr="err", sandbox="fake")


def add(archive: Archive, number: int, evaluation: Evaluation, **more: object) -> Added:
    return archive.add(
        number,
        evaluation,
        execution=ran(),
        part="search",
        seed=0,
        limits=Limits(),
        evaluator="test-1",
        **more,  # type: ignore[arg-type]
    )


def program(label: str, **more: object) -> Candidate:
    return Candidate(source=f"# {label}", proposer="test", **more)  # type: ignore[arg-type]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'archive.sqlite'}"


@pytest.fixture
def archive(url: str) -> Iterator[Archive]:
    opened = Archive.create(url, {"seed": 3}, "ndcg@10")
    yield opened
    opened.close()


def test_everything_comes_back_after_reopening(archive: Archive, url: str) -> None:
    parent = program("a", values={"k": 3}, point={"x": 0.5}, space="linear", family="linear")
    archive.begin(0, parent)
    archive.begin(1, program("b", parents=(parent.id,)))
    archive.begin(2, program("c"))
    assert add(archive, 0, scored(0.25)) is Added.IMPROVED
    assert add(archive, 1, Failed(kind="crash", reason="boom")) is Added.REJECTED
    again = Archive.open(url)
    assert again.facts == {"seed": 3}
    assert again.metric == "ndcg@10"
    assert [e.number for e in again.history()] == [0, 1]
    assert again.history() == archive.history()
    assert again.candidate(0) == parent
    assert again.candidate(2) == program("c")
    assert again.entry(2) is None
    assert again.per_user(0, "search", 0)["ndcg@10"].tolist() == [0.25, 0.5]
    assert again.output(0) == ("out", "err")
    again.close()


def test_a_failure_has_no_score(archive: Archive) -> None:
    archive.begin(0, program("a"))
    add(archive, 0, Failed(kind="timeout", reason="slow"))
    (entry,) = archive.history()
    assert entry.score("ndcg@10") is None
    assert archive.best() is None


def test_best_is_the_earliest_of_equals(archive: Archive) -> None:
    for number, value in enumerate([0.1, 0.4, 0.4, 0.2]):
        archive.begin(number, program(str(number)))
        outcome = add(archive, number, scored(value))
        assert outcome is (Added.IMPROVED if number < 2 else Added.NEW)
    best = archive.best()
    assert best is not None
    assert best.number == 1


def test_measuring_again_adds_a_row_and_changes_no_history(archive: Archive, url: str) -> None:
    archive.begin(0, program("a"))
    add(archive, 0, scored(0.25))
    before = archive.history()
    add(archive, 0, scored(0.75))
    assert archive.history() == before
    assert Archive.open(url).history() == before
    with create_engine(url).connect() as db:
        assert db.execute(text("select count(*) from evaluations")).scalar_one() == 2


def test_a_number_is_given_out_once(archive: Archive) -> None:
    archive.begin(0, program("a"))
    with pytest.raises(ArchiveError, match="already recorded"):
        archive.begin(0, program("b"))
    assert archive.candidate(0) == program("a")


def test_settled_needs_every_number_below(archive: Archive) -> None:
    assert archive.settled_through(-1)
    for number in (0, 1, 2):
        archive.begin(number, program(str(number)))
    add(archive, 0, scored(0.1))
    add(archive, 2, scored(0.1))
    assert archive.settled_through(0)
    assert not archive.settled_through(1)
    assert not archive.settled_through(2)
    add(archive, 1, Failed(kind="crash", reason="x"))
    assert archive.settled_through(2)
    assert not archive.settled_through(3)


def test_the_same_program_is_found_but_not_after_a_timeout(archive: Archive) -> None:
    for number, evaluation in enumerate([scored(0.1), Failed(kind="timeout", reason="slow")]):
        archive.begin(number, program(str(number)))
        add(archive, number, evaluation)
    found = archive.earlier(program("0"), "search", 0, "test-1")
    assert found is not None
    assert found[1] == archive.history()[0].evaluation
    assert archive.earlier(program("0"), "search", 1, "test-1") is None
    assert archive.earlier(program("0"), "search", 0, "test-2") is None
    assert archive.earlier(program("1"), "search", 0, "test-1") is None
    archive.begin(2, program("0"))
    add(archive, 2, found[1], same_as=found[0])
    assert archive.per_user(2, "search", 0)["ndcg@10"].tolist() == pytest.approx([0.1, 0.5])


def test_exchanges_are_recalled_and_summed(archive: Archive) -> None:
    def exchange(request: str, reply: str | None, usd: float | None) -> Exchange:
        return Exchange(
            request_hash=request,
            number=0,
            model="m",
            request="?",
            reply=reply,
            error=None if reply else "HTTP 500",
            tokens_in=10,
            tokens_out=5,
            usd=usd,
        )

    archive.record(exchange("a", None, None))
    assert archive.recall("a") is None
    archive.record(exchange("a", "yes", 0.25))
    archive.record(exchange("b", "no price", None))
    assert archive.recall("a") == exchange("a", "yes", 0.25)
    assert archive.spent() == (0.25, 45, 1)
    assert len(archive.exchanges()) == 3


def test_readings_are_kept_in_order(archive: Archive) -> None:
    archive.read_part("test", [3, 0], who="me", why="export", forced=False)
    archive.read_part("test", [4], who="me", why="again", forced=True)
    assert [(r["numbers"], r["forced"]) for r in archive.readings("test")] == [
        ([3, 0], False),
        ([4], True),
    ]
    assert archive.readings("promotion") == []


def test_time_of_earlier_sittings_counts(archive: Archive) -> None:
    assert archive.budget() is None
    first = archive.open_session({"candidates": 5})
    archive.tick(first, 12.5)
    second = archive.open_session({"candidates": 9})
    assert archive.budget() == {"candidates": 9}
    archive.tick(second, 2.0)
    assert archive.seconds_used() == 14.5
    assert archive.seconds_used(but=second) == 12.5


def test_refusals_say_what_to_do(tmp_path: Path, archive: Archive, url: str) -> None:
    with pytest.raises(ArchiveError, match="already holds a run"):
        Archive.create(url, {}, "ndcg@10")
    with pytest.raises(ArchiveError, match="no archive at"):
        Archive.open(f"sqlite:///{tmp_path / 'none.sqlite'}")
    (tmp_path / "junk.sqlite").write_bytes(b"not a database, at all" * 100)
    with pytest.raises(ArchiveError, match="not an evolver archive"):
        Archive.open(f"sqlite:///{tmp_path / 'junk.sqlite'}")
    with create_engine(url).begin() as db:
        db.execute(text("update meta set value = '99' where key = 'schema'"))
    with pytest.raises(ArchiveError, match="archive version 99"):
        Archive.open(url)


def _hold(folder: Path, ready: object) -> None:
    with exclusive(folder):
        ready.set()  # type: ignore[attr-defined]
        signal.pause()


def test_a_run_is_held_by_one_process_and_freed_by_its_death(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    holder = context.Process(target=_hold, args=(tmp_path, ready))
    holder.start()
    assert ready.wait(60)
    with pytest.raises(ArchiveError, match=f"by process {holder.pid}"), exclusive(tmp_path):
        pass
    os.kill(holder.pid or 0, signal.SIGKILL)
    holder.join()
    with exclusive(tmp_path):
        pass


def entry(number: int, value: float | None, family: str = "a") -> Entry:
    tried = program(str(number), family=family)
    evaluation = Failed(kind="crash", reason="x") if value is None else scored(value)
    return Entry(number=number, candidate=tried, evaluation=evaluation)


def test_selection_takes_the_best_and_another_family_and_never_a_failure() -> None:
    history = [entry(0, None), entry(1, 0.3), entry(2, 0.5), entry(3, 0.2, "b"), entry(4, 0.1, "b")]
    chosen = Tournament("ndcg@10", size=50).select(history, seed=0)
    assert [e.number for e in chosen] == [2, 3]
    assert Tournament("ndcg@10").select(history[:1], seed=0) == []
    for seed in range(20):
        assert Tournament("ndcg@10").select(history, seed) == Tournament("ndcg@10").select(
            history, seed
        )


def test_an_archive_of_the_first_version_opens_and_can_be_added_to(tmp_path: Path) -> None:
    path = tmp_path / "archive.sqlite"
    dump = Path(__file__).parent / "golden" / "version-1.sql"
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.executescript(dump.read_text())
    archive = Archive.open(f"sqlite:///{path}")
    first, second = archive.history()
    assert first.score("ndcg@10") == 0.25
    assert first.seconds == 2.0
    assert isinstance(second.evaluation, Failed)
    assert archive.evaluations(0, "search").keys() == {0}
    assert archive.candidate(2) is not None
    assert Plan.of(archive.facts["plan"]).rungs == ("full",)
    archive.begin(3, program("d"))
    assert add(archive, 3, scored(0.2), fidelity="low") is Added.PASSED
    assert add(archive, 3, scored(0.3)) is Added.IMPROVED
    archive.close()
    again = Archive.open(f"sqlite:///{path}")  # now of this version
    assert [e.score("ndcg@10") for e in again.history()] == [0.25, None, 0.3]
    again.close()


def test_rungs_settle_a_candidate_at_the_first_that_concludes(archive: Archive, url: str) -> None:
    for number in range(4):
        archive.begin(number, program(str(number)))
    late = Failed(kind="timeout", reason="slow")
    stopped = Stopped(fidelity="low", reason="not worth it", scored=scored(0.1))
    assert add(archive, 0, late, fidelity="smoke") is Added.PASSED  # may do with the whole time
    assert archive.entry(0) is None
    assert add(archive, 0, scored(0.2), fidelity="low") is Added.PASSED
    assert not archive.settled_through(0)
    assert add(archive, 0, scored(0.4)) is Added.IMPROVED
    assert add(archive, 1, Failed(kind="crash", reason=""), fidelity="smoke") is Added.REJECTED
    assert add(archive, 2, stopped, fidelity="low") is Added.REJECTED
    while_training = Stopped(fidelity="full", reason="stopped at step 3")
    assert add(archive, 3, while_training) is Added.REJECTED
    assert archive.settled_through(3)
    assert archive.best() == archive.entry(0)
    assert archive.low_scores(1) == [0.2]
    assert archive.low_scores(3) == [0.2, 0.1]
    assert [e.seconds for e in archive.history()] == [6.0, 2.0, 2.0, 2.0]
    assert archive.entry(2).partial("ndcg@10") == 0.1  # type: ignore[union-attr]
    assert archive.entry(3).partial("ndcg@10") == -np.inf  # type: ignore[union-attr]
    again = Archive.open(url)
    assert again.history() == archive.history()
    assert again.low_scores(3) == archive.low_scores(3)
    again.close()


def test_each_rung_recalls_its_own(archive: Archive) -> None:
    for number in range(3):
        archive.begin(number, program("same"))
    same = program("same")
    add(archive, 0, scored(0.2), fidelity="low")
    assert archive.earlier(same, "search", 0, "test-1") is None
    found = archive.earlier(same, "search", 0, "test-1", "low")
    assert found is not None
    add(archive, 0, Stopped(fidelity="full", reason="stopped at step 3"))
    assert archive.earlier(same, "search", 0, "test-1") is None  # it was never judged
    add(archive, 1, scored(0.4))
    again = archive.earlier(same, "search", 0, "test-1")
    assert again is not None
    assert again[1] == scored(0.4)


def test_curves_are_those_of_scored_trials_of_one_source(archive: Archive) -> None:
    for number, label in enumerate("aaba"):
        archive.begin(number, program(label, values={"k": number}))
    for number in range(3):
        add(archive, number, scored(0.2), fidelity="low")
        add(archive, number, scored(0.2))
    add(archive, 3, Failed(kind="crash", reason=""))
    assert archive.curves("# a", 99) == [[Progress(step=1, loss=0.5)]] * 2
    assert archive.curves("# a", 0) == [[Progress(step=1, loss=0.5)]]
