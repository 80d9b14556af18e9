"""Whoever only reads sees what another process writes, at once and without standing in its way."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, select, update

from benchmarks.ui import make_run
from evolver.archive.glance import glance
from evolver.archive.lock import exclusive, holder
from evolver.archive.schema import meta
from evolver.archive.store import Archive
from evolver.core import Candidate, Evaluation, Exchange, Failed, Fidelity, Limits, Scored, Stopped
from evolver.errors import ArchiveError
from evolver.run import reopen
from evolver.summary import summarise


def scored(value: float) -> Scored:
    return Scored(
        metrics={"ndcg@10": value},
        per_user={},
        fit_seconds=1.0,
        score_seconds=0.5,
        latency_ms_p50=0.2,
        latency_ms_p99=0.9,
        parameters=10,
        peak_bytes=1 << 20,
    )


def judge(
    archive: Archive, number: int, found: Evaluation, *, fidelity: Fidelity = "full", seed: int = 0
) -> None:
    archive.add(
        number,
        found,
        execution=None,
        part="search",
        seed=seed,
        limits=Limits(),
        evaluator="1",
        fidelity=fidelity,
    )


def program(number: int) -> Candidate:
    return Candidate(source=f"# {number}")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run", 0)


@pytest.fixture
def writer(place: Path) -> Iterator[Archive]:
    archive = reopen(place).archive
    yield archive
    archive.close()


@pytest.fixture
def reader(place: Path, writer: Archive) -> Iterator[Archive]:
    archive = reopen(place).archive
    yield archive
    archive.close()


def test_a_reader_takes_in_what_came_since(writer: Archive, reader: Archive) -> None:
    writer.begin(1, program(1))  # the second is recorded before the first
    reader.refresh()
    assert reader.pending() == {1: program(1)}
    writer.begin(0, program(0))
    judge(writer, 1, scored(0.3))
    judge(writer, 0, scored(0.5), fidelity="smoke")
    assert reader.history() == []
    reader.refresh()
    assert reader.history() == writer.history()
    assert reader.pending() == {0: program(0)}
    judge(writer, 0, Failed(kind="crash", reason="no"))
    judge(writer, 1, scored(0.9), seed=1)  # measured again: the first counts
    reader.refresh()
    reader.refresh()
    assert reader.history() == writer.history()
    assert reader.entry(1) == writer.entry(1)
    assert reader.ids() == {0: program(0).id, 1: program(1).id}
    assert reader.low_scores(9) == writer.low_scores(9)


def test_a_glance_agrees_with_the_summary(place: Path, writer: Archive) -> None:
    found: list[tuple[Evaluation, Fidelity]] = [
        (scored(0.4), "full"),
        (Stopped(fidelity="low", reason="slow"), "low"),
        (Failed(kind="timeout", reason="slow"), "full"),
        (Failed(kind="crash", reason="no"), "smoke"),
        (scored(0.7), "low"),  # sent on, and not settled
        (Failed(kind="timeout", reason="slow"), "low"),  # may still do within the whole time
    ]
    for number, (evaluation, fidelity) in enumerate(found):
        writer.begin(number, program(number))
        judge(writer, number, evaluation, fidelity=fidelity)
    judge(writer, 0, scored(0.6), seed=1)
    seen, told = glance(place / "archive.sqlite"), summarise(reopen(place))
    assert (seen.proposed, seen.scored, seen.failed) == (6, told.scored, sum(told.failed.values()))
    assert (seen.scored, seen.failed, seen.best) == (1, 2, 0.4)
    assert (seen.metric, seen.dataset, seen.planned) == ("ndcg@10", "shop", told.planned)
    assert seen.ended is None
    writer.tick(1, 5.0, "the time is up")
    assert glance(place / "archive.sqlite").ended == writer.ended() == "the time is up"


def test_a_glance_at_nothing_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "archive.sqlite"
    place.write_text("not a database, but long enough to be looked at " * 50)
    with pytest.raises(ArchiveError, match="not an evolver archive"):
        glance(place)


def test_bills_add_up_by_model(writer: Archive) -> None:
    for model, usd, reply in (("b", 0.5, "yes"), ("a", None, "yes"), ("a", 0.25, "yes")):
        writer.record(
            Exchange(
                request_hash="h",
                number=3,
                model=model,
                request="q",
                reply=reply,
                tokens_in=10,
                tokens_out=2,
                usd=usd,
                seconds=1.5,
            )
        )
    failed = Exchange(
        request_hash="h", number=4, model="a", request="q", reply=None, error="refused"
    )
    writer.record(failed)
    first, second = writer.bills()
    assert (first.model, first.requests, first.failed, first.unpriced) == ("a", 3, 1, 1)
    assert (first.usd, first.tokens_in, first.tokens_out, first.seconds) == (0.25, 20, 4, 3.0)
    assert (second.model, second.usd) == ("b", 0.5)
    assert writer.exchanges(4) == [failed]
    assert len(writer.exchanges()) == 4


def test_the_holder_is_whoever_lives_and_took_the_lock(tmp_path: Path) -> None:
    assert holder(tmp_path) is None
    with exclusive(tmp_path):
        assert holder(tmp_path) == os.getpid()
        with pytest.raises(ArchiveError, match="worked on"), exclusive(tmp_path):
            pass
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / "run.lock").write_text(str(gone.pid))
    assert holder(tmp_path) is None
    (tmp_path / "run.lock").write_text("no number")
    assert holder(tmp_path) is None
    (tmp_path / "run.lock").write_text(str(os.getpid()))
    os.utime(tmp_path / "run.lock", (1e9, 1e9))  # older than this process: another one's number
    assert holder(tmp_path) is None


def test_a_run_of_another_version_is_told_from_a_broken_one(place: Path) -> None:
    engine = create_engine(f"sqlite:///{place / 'archive.sqlite'}")
    with engine.begin() as db:
        facts = db.execute(select(meta.c.value).where(meta.c.key == "facts")).scalar_one()
        facts["config"]["execute"]["warp"] = 9
        db.execute(update(meta).where(meta.c.key == "facts").values(value=facts))
    engine.dispose()
    with pytest.raises(ArchiveError, match=r"does not know \(execute\.warp\)"):
        reopen(place)
    assert glance(place / "archive.sqlite").dataset == "shop"
