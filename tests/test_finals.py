"""Finals: judged once, counted once, whatever is killed; one promotion, one sealed test."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evolver import run as runs
from evolver.ablations import contributions
from evolver.archive.store import Archive
from evolver.assemble import opinions
from evolver.bench import Bench, OutOfTime
from evolver.cli.exporting import pair, rival, unpromoted
from evolver.config import BudgetConfig, DataConfig, ExecuteConfig, PromoteConfig, RunConfig
from evolver.core import Candidate, Completed, Entry, Execution, Failed, Job, Progress, Sandbox
from evolver.errors import UsageError
from evolver.export.evidence import card
from evolver.finals import Finals, Reserve
from evolver.floor import floor_of, measure_floor
from evolver.propose.baselines import PROPOSER
from evolver.sealed import judge_test, read_test
from evolver.standing import standing_of
from evolver.summary import summarise

SOURCE = textwrap.dedent(
    '''
    """Candidate {label}."""

    SKILL = {skill}
    SERVES_UNSEEN = True


    class Model:
        def __init__(self, params): ...
        def fit(self, train, budget): ...
        def score(self, users): ...
        def state(self): ...
        def load(self, state): ...
    '''
)


def program(label: str, skill: float, proposer: str = "search", word: str = "") -> Candidate:
    source = SOURCE.format(label=f"{label} {word}", skill=repr(skill))
    return Candidate(source=source + f"NAME = {label!r}\n", name=label, proposer=proposer)


class Oracle:
    """A sandbox that knows the labels: a candidate of skill s puts a label first for a share s of
    the users, which others for each seed; the rest of a list is luck."""

    name = "oracle"

    def __init__(
        self, run: runs.Run, delay: Callable[[], float] = lambda: 0.0, *, narrow: bool = False
    ) -> None:
        self._narrow = narrow
        self.ran: list[tuple[str, str, int]] = []
        self._run = run
        self._delay = delay

    def run(self, job: Job, watch: Callable[[Progress], bool] | None = None) -> Execution:
        time.sleep(self._delay())
        part = job.view.name
        name = job.candidate.name
        self.ran.append((name, part, job.seed))
        if "breaks" in job.candidate.source and job.seed:
            return Execution(outcome=Failed(kind="crash", reason="boom"), seconds=0.1)
        lists = self._lists(job, part)
        probed = None if job.probe is None else lists[job.probe].copy()
        if probed is not None and "moody" in job.candidate.source:
            probed = probed[::-1]
        done = Completed(
            answers=lists,
            fit_seconds=0.05,
            score_seconds=0.01,
            latency_ms=np.array([0.1]),
            parameters=1,
            peak_bytes=1,
            probed=probed,
        )
        return Execution(outcome=done, seconds=0.1, sandbox=self.name)

    def close(self) -> None: ...

    def _lists(self, job: Job, part: str) -> np.ndarray:  # type: ignore[type-arg]
        fold = self._run.fold(part)  # type: ignore[arg-type]
        skill = float(job.candidate.source.split("SKILL = ")[1].split("\n")[0])
        skill -= 0.3 if job.ablate == "useful" else 0.0
        who = np.random.default_rng([7, len(part)]).random(job.queries)
        rng = np.random.default_rng([int(job.candidate.id, 16), job.seed])
        lists = np.empty((job.queries, job.k), dtype=np.int32)
        for row in range(job.queries):
            had = fold.queries.history(row)
            open_items = np.setdiff1d(np.arange(job.items), had)
            label = fold.labels.items[fold.labels.indptr[row]]
            luck = rng.permutation(np.setdiff1d(open_items, [label]))
            if self._narrow and job.candidate.name == "good":
                luck = np.sort(luck)
            if who[row] + rng.normal(0, 0.01) < skill:
                lists[row] = [label, *luck[: job.k - 1]]
            else:
                lists[row] = luck[: job.k]
        return lists


def write_data(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    lines = [
        f"{user},{item},{1_600_000_000 + user * 7 + step * 40_000}"
        for user in range(120)
        for step, item in enumerate(rng.permutation(90)[:20])
    ]
    path = folder / "ratings.csv"
    path.write_text("user,item,timestamp\n" + "\n".join(lines) + "\n")
    return path


BASE = program("base", 0.30, PROPOSER)
FIELD = [BASE, program("weak base", 0.2, PROPOSER)]


def make(place: Path, *challengers: Candidate, workers: int = 2, **promote: float) -> runs.Run:
    """A run whose search is over: two baselines, then the challengers."""
    place.mkdir(parents=True, exist_ok=True)
    config = RunConfig(
        data=DataConfig(path=str(write_data(place))),
        budget=BudgetConfig(candidates=len(FIELD) + len(challengers)),
        execute=ExecuteConfig(workers=workers, threads=1, device="cpu"),
        promote=PromoteConfig(**promote),  # type: ignore[arg-type]
    )
    run = runs.create(config, place / "run")
    for number, candidate in enumerate([*FIELD, *challengers]):
        run.archive.begin(number, candidate)
        fresh = Entry(
            number=number, candidate=candidate, evaluation=Failed(kind="crash", reason="")
        )
        Bench(run, Oracle(run)).measure(fresh, "search", run.seed)
    return run


def finals(run: runs.Run, sandbox: Sandbox | None = None, **more: object) -> Finals:
    return Finals(run, sandbox=lambda part: sandbox or Oracle(run), **more)  # type: ignore[arg-type]


def told(archive: Archive) -> object:
    """What must be the same in every telling of the same finals."""
    readings = [
        (row["part"], row["numbers"], row["why"])
        for part in ("promotion", "test")
        for row in archive.readings(part)  # type: ignore[arg-type]
    ]
    verdicts = [
        (r["number"], r["against"], r["verdict"], r["evidence"]) for r in archive.verdicts()
    ]
    return readings, verdicts


GOOD = program("good", 0.75)


def test_a_true_gain_is_promoted_and_tested_once(tmp_path: Path) -> None:
    run = make(tmp_path, GOOD)
    sandbox = Oracle(run)
    said: list[str] = []
    outcome = finals(run, sandbox, say=said.append).go()
    assert outcome.standing.state == "promoted"
    assert outcome.standing.incumbent is not None
    assert outcome.standing.incumbent.number == 2
    (verdict,) = outcome.standing.judged
    assert verdict.evidence is not None
    assert verdict.evidence["reading"] == 1
    assert outcome.tested is not None
    assert outcome.tested.gain is not None
    assert outcome.tested.gain.low > 0
    assert [row["numbers"] for row in run.archive.readings("test")] == [[2, 0]]
    assert len(sandbox.ran) == len(set(sandbox.ran)) == 6 + 2
    assert any(line.startswith("Promote: ") for line in said)
    before = told(run.archive)
    again = Oracle(run)
    assert finals(run, again).go().tested == outcome.tested
    assert again.ran == []
    assert told(run.archive) == before


def test_export_takes_what_was_promoted_beside_what_it_replaced(tmp_path: Path) -> None:
    run = make(tmp_path, program("second", 0.5), GOOD)
    assert [e and e.number for e in pair(summarise(run), run, None)] == [3, 0]
    finals(run).go(run.archive.entry(2))
    assert [e and e.number for e in pair(summarise(run), run, None)] == [2, 0]
    assert [e and e.number for e in pair(summarise(run), run, "best")] == [3, 0]
    finals(run).go(run.archive.entry(3), reread_test=True)
    assert [e and e.number for e in pair(summarise(run), run, None)] == [3, 2]


def test_an_earlier_challenger_is_not_called_a_baseline(tmp_path: Path) -> None:
    run = make(tmp_path, program("second", 0.5), GOOD)
    baseline, first, second = (run.archive.entry(n) for n in (0, 2, 3))
    assert baseline is not None
    assert first is not None
    assert second is not None
    finals(run).go(first)
    finals(run).go(second)
    assert rival(baseline) == "best tuned baseline"
    assert rival(first) == "earlier challenger that it replaced"
    for other, word in ((first, "earlier challenger"), (baseline, "tuned baseline")):
        reading = read_test(run, Oracle(run), second, other, force=True)
        assert card(run, summarise(run), reading).rival == word


def test_export_of_what_is_not_promoted_says_first_that_it_opens_the_test(tmp_path: Path) -> None:
    run = make(tmp_path, GOOD)
    best = run.archive.entry(2)
    assert best is not None
    first, second = unpromoted(summarise(run), run, best)
    assert "not promoted" in first
    assert "opens the sealed test for #2" in second
    assert "--reread-test" in second
    assert f"`evolver promote {run.folder}` comes first" in second
    judge_test(Bench(run, Oracle(run)), best, run.archive.entry(0), why="export")  # type: ignore[arg-type]
    assert unpromoted(summarise(run), run, best) == [first]
    finals(run).go()
    assert unpromoted(summarise(run), run, best) == []


def test_the_best_few_are_judged_and_pay_for_each_reading(tmp_path: Path) -> None:
    others = [program(f"lucky {n}", 0.31 + n / 100) for n in range(4)]
    run = make(tmp_path, *others)
    outcome = finals(run).go()
    assert outcome.standing.state == "rejected"
    judged = [each.number for each in outcome.standing.judged]
    ranked = sorted((5, 4, 3, 2), key=lambda n: -(run.archive.entry(n).score(run.metric)))  # type: ignore[union-attr,operator]
    assert judged == ranked[:3]
    readings = run.archive.readings("promotion")
    evidence = [each.evidence for each in outcome.standing.judged]
    assert [e["reading"] for e in evidence if e] == list(range(1, len(readings) + 1))
    assert not run.archive.readings("test")


def test_it_stops_at_the_first_promotion(tmp_path: Path) -> None:
    run = make(tmp_path, GOOD, program("also good", 0.7))
    finals(run).go()
    assert [row["number"] for row in run.archive.verdicts()] == [2]
    assert standing_of(run).waiting == ()


def test_nobody_ahead_on_the_search_part_spends_no_reading(tmp_path: Path) -> None:
    run = make(tmp_path, program("worse", 0.1))
    sandbox = Oracle(run)
    outcome = finals(run, sandbox).go()
    assert outcome.standing.state == "none ahead"
    assert outcome.standing.behind is not None
    assert sandbox.ran == []
    assert not run.archive.readings("promotion")


@pytest.mark.parametrize(
    ("word", "says"),
    [("moody", "ranking that depends on the batch"), ("breaks", "the challenger failed in run 2")],
)
def test_a_refused_challenger_costs_no_reading(tmp_path: Path, word: str, says: str) -> None:
    run = make(tmp_path, program("bad", 0.8, word=word))
    outcome = finals(run).go()
    (verdict,) = outcome.standing.judged
    assert verdict.decision == "reject"
    assert says in verdict.paragraph
    assert not run.archive.readings("promotion")


def test_too_good_to_be_true_is_refused_unless_accepted(tmp_path: Path) -> None:
    run = make(tmp_path, program("oracle", 0.999))
    (verdict,) = finals(run).go().standing.judged
    assert "suspiciously good results" in verdict.paragraph
    accepted = {"accept_alarms": ("suspiciously-good-results",)}
    evaluate = run.config.evaluate.model_copy(update=accepted)
    run.config = run.config.model_copy(update={"evaluate": evaluate})
    entry = run.archive.entry(2)
    outcome = finals(run).go(entry)
    assert outcome.standing.state == "promoted"


def test_a_price_that_a_person_accepts_is_no_new_reading(tmp_path: Path) -> None:
    run = make(tmp_path, GOOD, popularity_rise=0.0, coverage_drop=0.0)
    dear = Oracle(run, narrow=True)
    (verdict,) = finals(run, dear).go().standing.judged
    assert "it pays with" in verdict.paragraph
    assert "coverage" in verdict.reason
    names = ("popularity-share", "coverage")
    judging = run.config.promote.model_copy(update={"accept": names})
    run.config = run.config.model_copy(update={"promote": judging})
    outcome = finals(run, Oracle(run)).go(run.archive.entry(2))
    assert outcome.standing.promotion is not None
    assert "Accepted although broken: " in outcome.standing.promotion.paragraph
    assert len(run.archive.readings("promotion")) == 1


def test_time_that_runs_out_leaves_the_rest_for_later(tmp_path: Path) -> None:
    whole = make(tmp_path / "whole", GOOD)
    finals(whole).go()
    run = make(tmp_path / "short", GOOD, workers=1)
    for trainings in (0, 1, 2, 2, 2):
        sandbox = Oracle(run)
        outcome = finals(
            run, sandbox, left=lambda most=trainings, box=sandbox: most - len(box.ran)
        ).go()
        assert outcome.unfinished == "the time is up"
    assert len(run.archive.readings("promotion")) == 1
    assert finals(run).go().standing.state == "promoted"
    assert told(run.archive) == told(whole.archive)


def test_a_chosen_candidate_is_judged_and_asked_once(tmp_path: Path) -> None:
    run = make(tmp_path, GOOD, program("second", 0.34))
    chosen, incumbent = run.archive.entry(3), run.archive.entry(0)
    assert chosen is not None
    assert incumbent is not None
    finals(run).go(chosen)
    finals(run).go(chosen)
    assert [row["number"] for row in run.archive.verdicts()][-1] == 3
    assert {tuple(row["numbers"]) for row in run.archive.readings("promotion")} == {(3, 0)}
    with pytest.raises(UsageError, match="incumbent itself"):
        finals(run).go(incumbent)


def test_the_test_is_not_read_for_a_second_promotion_without_a_flag(tmp_path: Path) -> None:
    run = make(tmp_path, program("good", 0.5), program("better", 0.8), finalists=1)
    best, second = run.archive.entry(3), run.archive.entry(2)
    assert best is not None
    finals(run).go(second)
    assert len(run.archive.readings("test")) == 1
    finals(run).go(best)
    standing = standing_of(run)
    assert standing.incumbent == best
    assert not standing.test_read
    assert len(run.archive.readings("test")) == 1
    outcome = finals(run).go(best, reread_test=True)
    assert outcome.tested is not None
    assert [row["forced"] for row in run.archive.readings("test")] == [False, True]
    with pytest.raises(UsageError, match="already read"):
        judge_test(Bench(run, Oracle(run)), best, run.archive.entry(0), why="")  # type: ignore[arg-type]


def test_the_noise_floor_is_measured_once_and_sets_the_minimum(tmp_path: Path) -> None:
    run = make(tmp_path, GOOD)
    assert floor_of(run) is None
    sandbox = Oracle(run)
    floor = measure_floor(Bench(run, sandbox))
    assert floor is not None
    assert sorted(sandbox.ran) == [("base", "search", 1), ("base", "search", 2)]
    assert floor.noise.seeds == 3
    assert floor.low < floor.noise.mean < floor.high
    own, rival = (run.archive.per_user(n, "search", 0)[run.metric].astype(float) for n in (0, 1))
    over_users = 1.959964 * (own - rival).std(ddof=1) / np.sqrt(len(own))
    wanted = max(0.005 * floor.noise.mean, floor.noise.difference, over_users)
    assert floor.least == pytest.approx(wanted, rel=1e-5)
    assert measure_floor(Bench(run, sandbox)) == floor
    assert len(sandbox.ran) == 2
    with pytest.raises(OutOfTime):
        Bench(run, sandbox, left=lambda: 0.0).measure(run.archive.entry(0), "search", 9)  # type: ignore[arg-type]


def test_what_each_part_brings_is_measured_once_and_said(tmp_path: Path) -> None:
    parts = 'ABLATIONS = ("useful", "idle")\nWITHOUT = Model.params.ablate\n'
    run = make(tmp_path, replace(GOOD, source=GOOD.source + parts))
    said: list[str] = []
    sandbox = Oracle(run)
    finals(run, sandbox, say=said.append).go()
    entry = run.archive.entry(2)
    assert entry is not None
    useful, idle = contributions(run, entry)
    assert (useful.name, idle.name) == ("useful", "idle")
    assert not useful.nothing
    assert useful.low > 0.05
    assert idle.nothing
    assert abs(idle.difference) < 0.05
    assert f"  {idle}" in said
    assert "brings nothing" in str(idle)
    assert sum(part == "search" for _, part, _ in sandbox.ran) == 2 + 2 * 3
    assert len(run.archive.readings("promotion")) == 1
    again = Oracle(run)
    finals(run, again).go()
    assert again.ran == []
    lessons = opinions(run)[2].parts
    assert len(lessons) == 2
    assert "idle brings nothing" in lessons[1]


def test_the_search_leaves_time_for_the_finals(tmp_path: Path) -> None:
    run = make(tmp_path, GOOD)
    assert Reserve(run)() == 0.0
    budget = run.config.budget.model_copy(update={"seconds": 1000.0})
    run.config = run.config.model_copy(update={"budget": budget})
    needs = Reserve(run)()
    assert 6.0 < needs < 10.0
    budget = run.config.budget.model_copy(update={"seconds": 10.0})
    run.config = run.config.model_copy(update={"budget": budget})
    assert Reserve(run)() == 2.5
    nobody = make(tmp_path / "nobody", *[program(f"worse {n}", 0.1) for n in range(4)])
    budget = run.config.budget.model_copy(update={"seconds": 1000.0})
    nobody.config = nobody.config.model_copy(update={"budget": budget})
    assert Reserve(nobody)() == pytest.approx(needs)


KILLED = """
import random, sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
import test_finals as t
from evolver import run as runs
run = runs.reopen(Path({place!r}))
rng = random.Random(time.time_ns())
t.finals(run, t.Oracle(run, delay=lambda: rng.random() * 0.05)).go()
"""


@pytest.mark.slow
def test_killed_at_random_moments_they_end_as_if_undisturbed(tmp_path: Path) -> None:
    field = [program("lucky", 0.36), program("luckier", 0.37), program("least", 0.355)]
    whole = make(tmp_path / "whole", *field)
    finals(whole).go()
    run = make(tmp_path / "killed", *field)
    run.archive.close()
    script = KILLED.format(tests=str(Path(__file__).parent), place=str(run.folder))
    rng = random.Random(3)
    kills = 0
    for attempt in range(40):
        child = subprocess.Popen([sys.executable, "-c", script], cwd=Path(__file__).parents[1])
        before = (run.folder / "archive.sqlite").stat().st_mtime
        while child.poll() is None and _touched(run.folder) == before and attempt < 30:
            time.sleep(0.01)
        try:
            child.wait(rng.random() * 0.4 if attempt < 30 else None)
        except subprocess.TimeoutExpired:
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
            kills += 1
            continue
        assert child.returncode == 0
        break
    assert kills >= 2
    again = runs.reopen(run.folder)
    assert told(again.archive) == told(whole.archive)


def _touched(folder: Path) -> float:
    return max(path.stat().st_mtime for path in folder.glob("archive.sqlite*"))
