"""What each slot of a run is for."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from evolver.archive.store import Archive
from evolver.config import BudgetConfig, RunConfig
from evolver.core import Candidate
from evolver.phases import Phases, Stretch, stretches
from evolver.propose import baselines, survivors
from evolver.run import Plan, plan_for

PLAN = Plan(
    workers=1,
    threads=1,
    lag=1,
    baseline_slots=5,
    device="cpu",
    seconds=1.0,
    candidates=12,
    tuning_slots=3,
)
OLD = Plan(workers=1, threads=1, lag=1, baseline_slots=5, device="cpu", seconds=1.0)


@pytest.mark.parametrize(
    ("plan", "totals", "wanted"),
    [
        (PLAN, [], [(5, 9, 12)]),
        (PLAN, [12, 8], [(5, 9, 12)]),
        (PLAN, [12, 20, 20, 23], [(5, 9, 12), (12, 16, 20), (20, 22, 23)]),
        (OLD, [12], [(5, 12, 12)]),  # a run from before there was tuning
        (OLD, [12, 20], [(5, 20, 20)]),
    ],
)
def test_each_raise_of_the_budget_searches_and_tunes_again(
    plan: Plan, totals: list[int], wanted: list[tuple[int, int, int]]
) -> None:
    assert stretches(plan, totals) == [Stretch(start=s, tuning=t, end=e) for s, t, e in wanted]


@pytest.mark.parametrize(
    ("candidates", "baseline_slots", "tuning_slots"),
    [
        (14, 7, 0),  # not even every baseline once
        (24, 12, 6),  # four trials more for three baselines, so two more for each survivor
        (30, 15, 7),  # nine wanted, half of what is left at most
        (100, 50, 25),
        (1, 1, 0),
    ],
)
def test_survivors_get_as_many_slots_as_equal_terms_need_and_half_of_the_rest_at_most(
    candidates: int, baseline_slots: int, tuning_slots: int
) -> None:
    plan = plan_for(RunConfig(budget=BudgetConfig(candidates=candidates)), 1_000)
    assert (plan.baseline_slots, plan.tuning_slots) == (baseline_slots, tuning_slots)


@pytest.mark.parametrize(
    ("rows", "changes", "rungs"),
    [
        (59_000, {}, ("full",)),
        (100_000, {}, ("smoke", "full")),
        (1_000_000, {}, ("smoke", "low", "full")),
        (59_000, {"propose": {"models": ("openai/gpt-5",)}}, ("smoke", "full")),
        (59_000, {"propose": {"proposer": "mailbox"}}, ("smoke", "full")),
        (59_000, {"cascade": {"fidelity": "halving"}}, ("low", "full")),
        (1_000_000, {"cascade": {"fidelity": "full", "smoke": False}}, ("full",)),
    ],
)
def test_small_data_wastes_no_time_on_rungs(
    rows: int, changes: dict[str, object], rungs: tuple[str, ...]
) -> None:
    plan = plan_for(RunConfig.model_validate(changes), rows)
    assert plan.rungs == rungs
    assert Plan.of(json.loads(json.dumps(asdict(plan)))) == plan
    assert plan.seconds_at("smoke") <= plan.seconds_at("low") <= plan.seconds_at("full")


class Sitting:
    """Phases over an archive in memory, with a clock that is set by hand."""

    def __init__(self, archive: Archive, *, limit: float | None = None) -> None:
        self.used = 0.0
        self.archive = archive
        self.phases = Phases(
            PLAN, archive, [12, 20], baseline_share=0.5, limit=limit, used=lambda: self.used
        )

    def propose(self, number: int) -> str:
        phase = self.phases.of(number)
        names = {"baselines": baselines.PROPOSER, "search": "tpe", "tuning": survivors.PROPOSER}
        self.archive.begin(number, Candidate(source=str(number), proposer=names[phase]))
        return phase[0]


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive.create(f"sqlite:///{tmp_path / 'a.sqlite'}", {}, "ndcg@10")


def test_baselines_search_tuning_and_again(archive: Archive) -> None:
    sitting = Sitting(archive)
    assert "".join(sitting.propose(n) for n in range(20)) == "bbbbbsssstttsssstttt"
    assert sitting.phases.tuning(10) == (9, 12)
    assert sitting.phases.tuning(8) is None


def test_a_sitting_that_follows_goes_on_where_the_last_one_was(archive: Archive) -> None:
    first = Sitting(archive)
    begun = "".join(first.propose(n) for n in range(10))
    second = Sitting(archive)
    assert begun + "".join(second.propose(n) for n in range(10, 20)) == "bbbbbsssstttsssstttt"


def test_late_phases_give_way_and_do_not_come_back(archive: Archive) -> None:
    sitting = Sitting(archive, limit=100.0)
    told = "".join(sitting.propose(n) for n in range(3))
    sitting.used = 51.0  # over half: baselines had their share
    told += "".join(sitting.propose(n) for n in range(3, 6))
    sitting.used = 76.0  # over 9/12: what is left tunes
    told += sitting.propose(6)
    sitting.used = 0.0
    told += "".join(sitting.propose(n) for n in range(7, 12))
    assert told == "bbbssstttttt"
    assert sitting.phases.tuning(11) == (6, 12)
    assert Sitting(archive, limit=100.0).phases.tuning(11) == (6, 12)
