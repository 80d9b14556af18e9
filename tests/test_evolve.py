"""The loop: its outcome depends on the seed alone, whatever is killed or finishes first."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evolver import assemble
from evolver import run as runs
from evolver.archive.select import Tournament
from evolver.archive.store import Archive
from evolver.config import BudgetConfig, CascadeConfig, DataConfig, ExecuteConfig, RunConfig
from evolver.core import (
    Brief,
    Candidate,
    Completed,
    Entry,
    Execution,
    Failed,
    Job,
    Parameter,
    Progress,
    Scored,
    Stopped,
    Unusable,
)
from evolver.errors import ArchiveError, BudgetSpent, SandboxUnavailable
from evolver.evaluate.check import inspect_source
from evolver.evaluate.fingerprint import program_digest
from evolver.evaluate.halving import bar
from evolver.evolve import Ending, Event, Search
from evolver.propose.baselines import PROPOSER, SEED, is_default
from evolver.propose.survivors import SurvivorsProposer
from evolver.summary import summarise
from evolver.tune.registry import tuner

SOURCE = textwrap.dedent(
    '''
    """Candidate {label}."""
    from evolver.contract import Int

    NAME = "{label}"
    TUNABLES = {{"k": Int(1, 9, default=3)}}
    SERVES_UNSEEN = True


    class Model:
        def __init__(self, params): ...
        def fit(self, train, budget): ...
        def score(self, users): ...
        def state(self): ...
        def load(self, state): ...
    '''
)


class FakeSandbox:
    """Ranks by a hash of the candidate: instant, deterministic, and fails when told to."""

    name = "fake"

    def __init__(self, delay: Callable[[], float] = lambda: 0.0) -> None:
        self.ran: list[str] = []
        self.closed = threading.Event()
        self._delay = delay

    def run(self, job: Job, watch: Callable[[Progress], bool] | None = None) -> Execution:
        if self.closed.wait(self._delay()):
            raise SandboxUnavailable("closed")
        self.ran.append(job.candidate.id)
        if "crash" in job.candidate.source:
            return Execution(outcome=Failed(kind="crash", reason="boom"), seconds=0.1)
        reports = self._train(job, watch)
        done = replace(self._rank(job), progress=reports)
        return Execution(outcome=done, seconds=0.1, sandbox=self.name)

    def _train(self, job: Job, watch: Callable[[Progress], bool] | None) -> tuple[Progress, ...]:
        """Reports of a training that hears of a stop as late as the clock wants."""
        losses = np.random.default_rng(int(job.candidate.id, 16)).random(6)
        deaf = round(self._delay() * 100)
        reports: list[Progress] = []
        for step, loss in enumerate(losses.tolist(), start=1):
            reports.append(Progress(step=step, loss=loss))
            if watch is not None and not watch(reports[-1]):
                if deaf <= 0:
                    break
                deaf -= 1
        return tuple(reports)

    def close(self) -> None:
        self.closed.set()

    def _rank(self, job: Job) -> Completed:
        view = job.view
        indptr = np.load(view / "query_indptr.npy")
        items = np.load(view / "query_items.npy")
        rng = np.random.default_rng([int(job.candidate.id, 16), job.seed])
        lists = np.empty((job.queries, job.k), dtype=np.int32)
        for row in range(job.queries):
            open_items = np.setdiff1d(np.arange(job.items), items[indptr[row] : indptr[row + 1]])
            lists[row] = rng.permutation(open_items)[: job.k]
        return Completed(
            answers=lists,
            fit_seconds=0.05,
            score_seconds=0.01,
            latency_ms=np.array([0.1]),
            parameters=1,
            peak_bytes=1,
            probed=None if job.probe is None else lists[job.probe],
        )


class FakeProposer:
    """A pure function of the brief that reacts to what it is told."""

    def __init__(self, name: str = "fake", *, after: int | None = None) -> None:
        self.name = name
        self.calls: list[int] = []
        self._after = after

    def propose(self, brief: Brief) -> Candidate | Unusable:
        self.calls.append(brief.number)
        if self._after is not None and brief.number >= self._after:
            raise BudgetSpent("no money left")
        if brief.number % 7 == 5:
            return Unusable(
                asked=Candidate(source="", proposer=self.name, direction="loss"),
                why=Failed(kind="contract", reason="no code in the reply"),
            )
        best = max((e.score(brief.metric) or 0.0 for e in brief.history), default=0.0)
        label = f"{brief.number} {len(brief.history)} {best:.6f}"
        label += " crash" if brief.number % 5 == 4 else ""
        return Candidate(source=SOURCE.format(label=label), proposer=self.name)


class FakeBaselines(FakeProposer):
    """Three programs, each with one setting after the other."""

    def propose(self, brief: Brief) -> Candidate:
        return Candidate(
            source=SOURCE.format(label=f"baseline {brief.number % 3}"),
            values={"k": brief.number // 3 + 1},
            proposer=PROPOSER,
            operator=SEED if brief.number < 3 else "tune",
        )


def write_data(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    lines = [
        f"{user},{item},{1_600_000_000 + user * 7 + step * 40_000}"
        for user in range(60)
        for step, item in enumerate(rng.permutation(50)[:20])
    ]
    path = folder / "ratings.csv"
    path.write_text("user,item,timestamp\n" + "\n".join(lines) + "\n")
    return path


RUNGS = CascadeConfig(fidelity="halving", smoke=True, users=0.5, early_stopping=True)


def make(
    place: Path,
    *,
    candidates: int = 20,
    workers: int = 2,
    cascade: CascadeConfig | None = None,
    **budget: float,
) -> runs.Run:
    place.mkdir(parents=True, exist_ok=True)
    config = RunConfig(
        cascade=cascade or CascadeConfig(),
        data=DataConfig(path=str(write_data(place))),
        budget=BudgetConfig(candidates=candidates, **budget),  # type: ignore[arg-type]
        execute=ExecuteConfig(workers=workers, threads=1, device="cpu"),
    )
    return runs.create(config, place / "run")


def declared(source: str) -> Sequence[Parameter] | None:
    facts = inspect_source(source)
    return None if isinstance(facts, Failed) else facts.tunables


def search(
    run: runs.Run,
    sandbox: FakeSandbox | None = None,
    searching: FakeProposer | None = None,
    notify: Callable[[Event], None] = lambda event: None,
) -> Ending:
    return Search(
        run,
        sandbox=sandbox or FakeSandbox(),
        tuning=FakeBaselines() if run.plan.halving else FakeProposer(PROPOSER),
        searching=searching or FakeProposer(),
        selector=Tournament(run.metric),
        survivors=SurvivorsProposer(tuner("random"), declared, program_digest)
        if run.plan.halving
        else None,
        notify=notify,
    ).go()


def told(archive: Archive) -> list[tuple[int, str, object]]:
    """What must be the same in every telling of the same run."""
    return [
        (
            e.number,
            e.candidate.id,
            e.evaluation.metrics if isinstance(e.evaluation, Scored) else e.evaluation,
        )
        for e in archive.history()
    ]


def test_every_candidate_is_proposed_judged_and_recorded_once(tmp_path: Path) -> None:
    run = make(tmp_path)
    sandbox, searching = FakeSandbox(), FakeProposer()
    assert search(run, sandbox, searching) is Ending.CANDIDATES
    entries = run.archive.history()
    assert [e.number for e in entries] == list(range(20))
    assert [e.candidate.proposer for e in entries] == [PROPOSER] * 10 + ["fake"] * 10
    kinds = {e.number: e.evaluation.kind for e in entries if isinstance(e.evaluation, Failed)}
    assert kinds == {
        4: "crash",
        5: "contract",
        9: "crash",
        12: "contract",
        14: "crash",
        19: "contract",
    }
    assert len(sandbox.ran) == len(set(sandbox.ran)) == 17
    assert sorted(searching.calls) == list(range(10, 20))


@pytest.mark.parametrize("cascade", [None, RUNGS], ids=["whole", "rungs"])
def test_who_finishes_first_changes_nothing(tmp_path: Path, cascade: CascadeConfig | None) -> None:
    plain = make(tmp_path / "plain", candidates=30, cascade=cascade)
    search(plain)
    rng = random.Random(1)
    slow = make(tmp_path / "slow", candidates=30, cascade=cascade)
    search(slow, FakeSandbox(delay=lambda: rng.random() * 0.02))
    assert told(slow.archive) == told(plain.archive)


def test_candidates_climb_from_rung_to_rung(tmp_path: Path) -> None:
    run = make(tmp_path, candidates=30, cascade=RUNGS)
    assert run.plan.rungs == ("smoke", "low", "full")
    began: list[tuple[int, str]] = []
    ending = search(
        run, notify=lambda e: began.append((e.number, e.fidelity)) if e.kind == "began" else None
    )
    assert ending is Ending.CANDIDATES
    entries = {e.number: e for e in run.archive.history()}
    assert len(entries) == 30
    tuned = [n for n, e in entries.items() if e.candidate.proposer == "tuning"]
    assert tuned
    assert min(tuned) == 30 - run.plan.tuning_slots
    stopped = 0
    for number, entry in entries.items():
        rungs = [fidelity for n, fidelity in began if n == number]
        through = number - run.plan.lag
        before = [e for n, e in entries.items() if n <= through]
        proven = any(
            e.candidate.source == entry.candidate.source and not isinstance(e.evaluation, Failed)
            for e in before
        )
        start = [] if proven else ["smoke"]
        found = entry.evaluation
        if isinstance(found, Failed):
            assert rungs == ([] if found.kind == "contract" else start)
            assert found.kind == "contract" or "smoke" in found.reason
            continue
        if any(e.candidate.id == entry.candidate.id for n, e in entries.items() if n < number):
            continue  # what is known by then is recalled
        low = run.archive.low_scores(number)[-1]
        wanted = bar(run.archive.low_scores(through), 3)
        if wanted is not None and low < wanted and not is_default(entry.candidate):
            stopped += 1
            assert isinstance(found, Stopped)
            assert rungs == [*start, "low"]
            assert entry.score(run.metric) is None
            assert entry.partial(run.metric) == low
        else:
            assert rungs == [*start, "low", "full"]
            assert entry.seconds == pytest.approx(0.1 * len(rungs))
    assert stopped >= 5
    scored = {e.candidate.id for e in entries.values() if isinstance(e.evaluation, Scored)}
    parents = {p for e in entries.values() for p in e.candidate.parents}
    assert parents <= scored
    summary = summarise(run)
    assert summary.tried == 30
    assert {e.candidate.id for e in summary.ranking} == scored


class OneProgram(FakeProposer):
    """One program with one setting after the other."""

    def propose(self, brief: Brief) -> Candidate:
        return Candidate(
            source=SOURCE.format(label="one"),
            values={"k": brief.number % 9 + 1},
            proposer=self.name,
        )


def test_poor_trials_are_stopped_as_they_train_whatever_the_clock_says(tmp_path: Path) -> None:
    rule = CascadeConfig(early_stopping=True)
    prompt = make(tmp_path / "prompt", candidates=24, cascade=rule)
    search(prompt, searching=OneProgram())
    rng = random.Random(2)
    late = make(tmp_path / "late", candidates=24, cascade=rule)
    search(late, FakeSandbox(delay=lambda: rng.random() * 0.03), OneProgram())
    assert told(late.archive) == told(prompt.archive)
    stopped = [e for e in late.archive.history() if isinstance(e.evaluation, Stopped)]
    assert stopped
    for entry in stopped:
        assert isinstance(entry.evaluation, Stopped)
        assert entry.evaluation.fidelity == "full"
        assert "earlier trials of this program" in entry.evaluation.reason
        assert entry.score(late.metric) is None
        with pytest.raises(ArchiveError, match="has no score"):
            late.archive.per_user(entry.number, "search", late.seed)


def test_a_baseline_at_its_defaults_is_trained_whole_whatever_low_fidelity_says(
    tmp_path: Path,
) -> None:
    run = make(tmp_path, candidates=20, workers=1, cascade=RUNGS)
    search(run)
    low = run.archive.low_scores(2)
    assert len(low) == 3
    assert any(low[n] < (bar(low[:n], run.config.cascade.eta) or 0.0) for n in range(1, 3))
    assert all(isinstance(e.evaluation, Scored) for e in run.archive.history(2))


def test_a_resumed_run_has_the_same_low_scores_and_seconds(tmp_path: Path) -> None:
    run = make(tmp_path, candidates=20, cascade=RUNGS)
    search(run)
    again = runs.reopen(run.folder)
    assert again.archive.low_scores(99) == run.archive.low_scores(99)
    assert again.archive.history() == run.archive.history()
    assert again.plan == run.plan


def test_a_spent_purse_is_a_normal_ending_that_can_be_resumed(tmp_path: Path) -> None:
    whole = make(tmp_path / "whole")
    search(whole)
    run = make(tmp_path / "poor")
    assert search(run, searching=FakeProposer(after=15)) is Ending.MONEY
    assert [e.number for e in run.archive.history()] == list(range(15))
    assert search(run) is Ending.CANDIDATES
    assert told(run.archive) == told(whole.archive)


def test_time_is_a_hard_limit_and_earlier_sittings_count(tmp_path: Path) -> None:
    run = make(tmp_path, seconds=100.0)
    run.archive.tick(run.archive.open_session({}), 101.0)
    assert search(run) is Ending.TIME
    assert run.archive.history() == []


def test_late_baselines_make_room_for_the_search(tmp_path: Path) -> None:
    run = make(tmp_path, seconds=1_000.0)
    run.archive.tick(run.archive.open_session({}), 600.0)
    search(run)
    assert {e.candidate.proposer for e in run.archive.history()} == {"fake"}


def test_a_fault_of_ours_stops_the_run_and_blames_nobody(tmp_path: Path) -> None:
    class Broken(FakeSandbox):
        def run(self, job: Job, watch: Callable[[Progress], bool] | None = None) -> Execution:
            if len(self.ran) == 6:
                raise SandboxUnavailable("the engine is gone; start it")
            return super().run(job, watch)

    whole = make(tmp_path / "whole")
    search(whole)
    run = make(tmp_path / "broken", workers=1)
    with pytest.raises(SandboxUnavailable, match="the engine is gone"):
        search(run, Broken())
    assert all(
        not isinstance(e.evaluation, Failed) or e.evaluation.kind != "timeout"
        for e in run.archive.history()
    )
    assert len(run.archive.history()) < 10
    again = make(tmp_path / "narrow", workers=1)
    search(again)
    search(run)
    assert told(run.archive) == told(again.archive)


def test_a_bug_of_ours_is_raised_not_swallowed(tmp_path: Path) -> None:
    class Buggy(FakeProposer):
        def propose(self, brief: Brief) -> Candidate | Unusable:
            raise ZeroDivisionError("ours")

    with pytest.raises(ZeroDivisionError, match="ours"):
        search(make(tmp_path), searching=Buggy())


def test_a_review_reaches_a_search_that_runs(tmp_path: Path) -> None:
    run = make(tmp_path, candidates=24, workers=1)
    briefs: list[Brief] = []

    class Reviewed(FakeProposer):
        def propose(self, brief: Brief) -> Candidate | Unusable:
            briefs.append(brief)
            if len(briefs) == 4:
                other = Archive.open(f"sqlite:///{run.folder / 'archive.sqlite'}")
                other.reviews.add(self.ranked(brief)[0].number, "ban", "copies the popular")
                other.reviews.add(self.ranked(brief)[3].number, "pin", "more of this")
                other.close()
            return super().propose(brief)

        def ranked(self, brief: Brief) -> list[Entry]:
            scored = [e for e in brief.history if isinstance(e.evaluation, Scored)]
            return sorted(scored, key=lambda e: -(e.score(brief.metric) or 0.0))

    proposer = Reviewed()
    assemble.search(run, searching=proposer, sandbox=FakeSandbox(), finals=False).go()
    banned, _, _, pinned = proposer.ranked(briefs[3])[:4]
    after = briefs[4:]
    assert len(after) > 4
    assert all(e.standing == "" and e.remarks == () for b in briefs[:4] for e in b.history)
    for brief in after:
        known = {e.number: e for e in brief.history}
        assert known[banned.number].standing == "barred"
        assert known[banned.number].remarks == ("ban: copies the popular",)
        assert banned.number not in {e.number for e in brief.parents}
    first = [brief.parents[0] for brief in after if brief.number % 2 == 0]
    assert {e.number for e in first} == {pinned.number}
    assert {e.remarks for e in first} == {("pin: more of this",)}


def test_the_same_program_is_trained_once(tmp_path: Path) -> None:
    class Same(FakeProposer):
        def propose(self, brief: Brief) -> Candidate:
            return Candidate(source=SOURCE.format(label="same"), proposer=self.name)

    run = make(tmp_path, workers=1)
    sandbox = FakeSandbox()
    search(run, sandbox, Same())
    same = [e for e in run.archive.history() if e.candidate.proposer == "fake"]
    assert len(same) == 10
    assert len({e.candidate.id for e in same}) == 1
    assert len({e.score(run.metric) for e in same}) == 1
    assert sandbox.ran.count(same[0].candidate.id) <= 2  # two may be in flight together


KILLED = """
import random, sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
import test_evolve as t
from evolver import assemble
from evolver import run as runs
place = Path({place!r})
run = runs.reopen(place)
rng = random.Random(time.time_ns())
t.search(run, t.FakeSandbox(delay=lambda: rng.random() * 0.03))
"""


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_as_if_undisturbed(tmp_path: Path) -> None:
    whole = make(tmp_path / "whole", candidates=40, cascade=RUNGS)
    search(whole)
    run = make(tmp_path / "killed", candidates=40, cascade=RUNGS)
    run.archive.close()
    script = KILLED.format(tests=str(Path(__file__).parent), place=str(run.folder))
    rng = random.Random(7)
    kills = 0
    for attempt in range(60):
        child = subprocess.Popen([sys.executable, "-c", script], cwd=Path(__file__).parents[1])
        path = run.folder / "archive.sqlite-wal"
        while child.poll() is None and not path.exists():
            time.sleep(0.005)
        try:
            child.wait(rng.random() * 0.5 if attempt < 50 else None)
        except subprocess.TimeoutExpired:
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
            kills += 1
            continue
        assert child.returncode == 0
        break
    assert kills >= 3
    again = runs.reopen(run.folder)
    assert told(again.archive) == told(whole.archive)


@pytest.mark.parametrize(
    ("rows", "limit", "seconds"),
    [
        (1_000, None, 120.0),
        (100_000, None, 120.0),
        (1_100_000, None, 320.0),
        (10**9, None, 3600.0),
        (1_000, 600.0, 100.0),
        (1_000, 60.0, 30.0),
        (1_000, 7200.0, 120.0),
    ],
)
def test_a_candidate_may_take_longer_on_more_data(
    rows: int, limit: float | None, seconds: float
) -> None:
    assert runs.candidate_seconds(rows, limit) == seconds
