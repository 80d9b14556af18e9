"""Bandits, gains, tuning of numbers, and the hybrid that shares the budget out."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from evolver.core import (
    Brief,
    Candidate,
    Entry,
    Failed,
    Observation,
    Parameter,
    Scored,
    Unusable,
    Value,
)
from evolver.propose.bandit import Pull, ranked
from evolver.propose.effects import Effects, Gain
from evolver.propose.hybrid import HybridProposer
from evolver.propose.numbers import NumbersProposer
from tests.propose.samples import METRIC, SOURCE, brief, crashed, entry

# --- the bandit ---


def firsts(pulls: Sequence[Pull], arms: Sequence[str], **more: float) -> Counter[str]:
    return Counter(ranked(arms, pulls, random.Random(n), **more)[0] for n in range(400))


def test_what_pays_is_tried_more_but_nothing_is_forgotten() -> None:
    pulls = [Pull(arm="a", reward=0.02, cost=1) for _ in range(10)]
    pulls += [Pull(arm="b", reward=0.0, cost=1) for _ in range(10)]
    counts = firsts(pulls, ("a", "b", "c"))
    assert counts["a"] > 2 * counts["c"] > 0
    assert counts["a"] > 10 * counts["b"]


def test_equal_gains_go_to_the_cheaper() -> None:
    pulls = [Pull(arm=arm, reward=0.01, cost=cost) for arm, cost in (("a", 1.0), ("b", 20.0)) * 10]
    assert firsts(pulls, ("a", "b"))["a"] > 380
    assert 150 < firsts(pulls, ("a", "b"), cost_power=0.0)["a"] < 250


def test_nothing_known_means_anything_goes() -> None:
    counts = firsts([], ("a", "b", "c", "d"))
    assert all(count > 60 for count in counts.values())
    costless = [Pull(arm="a", reward=0.0, cost=0.0)]
    assert set(firsts(costless, ("a", "b"))) == {"a", "b"}


def test_a_draw_is_reproducible_and_orders_all_arms() -> None:
    pulls = [Pull(arm="b", reward=1.0, cost=2.0)]
    once = ranked(("a", "b", "c"), pulls, random.Random(4))
    assert once == ranked(("a", "b", "c"), pulls, random.Random(4))
    assert sorted(once) == ["a", "b", "c"]


# --- gains ---


def test_a_gain_is_measured_in_pairs() -> None:
    before = np.array([0.0, 1.0, 0.5, 0.2], dtype=np.float32)
    users = {0: before, 1: before + np.array([0.1, 0.1, 0.1, 0.1], dtype=np.float32)}
    parent = entry(0, 0.425)
    child = entry(1, 0.525)

    def kept(e: Entry) -> Mapping[str, NDArray[np.float32]]:
        return {METRIC: users[e.number]}

    gain = Effects(METRIC, kept).gain(child, parent)
    assert gain is not None
    assert gain.mean == pytest.approx(0.1)
    assert gain.error == pytest.approx(0.0, abs=1e-6)
    assert gain.real
    assert str(gain) == "+0.1000 ± 0.0000"


def test_without_users_a_gain_has_no_error() -> None:
    gain = Effects(METRIC, lambda _: {}).gain(entry(1, 0.3), entry(0, 0.2))
    assert gain is not None
    assert gain.error is None
    assert gain.real
    assert str(gain) == "+0.1000"


def test_failures_have_no_gain_and_bring_nothing() -> None:
    effects = Effects(METRIC)
    broken = entry(1, crashed())
    assert effects.gain(broken, entry(0, 0.2)) is None
    assert effects.gain(entry(0, 0.2), broken) is None
    assert effects.reward(broken, [entry(0, 0.2)]) == 0.0


def test_a_reward_is_over_the_best_parent_or_the_best_before() -> None:
    effects = Effects(METRIC, lambda _: {})
    weak, strong = entry(0, 0.2), entry(1, 0.3)
    child = entry(2, 0.35, parents=(weak.candidate.id, strong.candidate.id))
    draft = entry(3, 0.37)
    history = [weak, strong, child, draft]
    assert effects.reward(child, history) == pytest.approx(0.05)
    assert effects.reward(draft, history) == pytest.approx(0.02)
    assert effects.reward(entry(4, 0.1), history) == 0.0


def test_noise_is_no_reward() -> None:
    assert Gain(0.01, 0.02).cautious == 0.0
    assert not Gain(0.01, 0.006).real


# --- numbers ---

PARAMETERS = (
    Parameter(name="power", kind="float", low=0.1, high=2.0, default=1.0),
    Parameter(name="extra", kind="int", low=1, high=9, default=3),
)


class Recording:
    """A tuner that remembers what it was told."""

    name = "recording"

    def __init__(self) -> None:
        self.observed: list[Observation] = []

    def suggest(
        self, space: Sequence[Parameter], observed: Sequence[Observation], seed: int
    ) -> Mapping[str, Value]:
        assert list(space) == list(PARAMETERS)
        self.observed = list(observed)
        return {"power": 0.1 + seed % 10 / 10, "extra": 2}


def declared(source: str) -> Sequence[Parameter] | None:
    return PARAMETERS if "TUNABLES" in source else None


def test_numbers_of_the_best_program_are_tuned_from_all_its_trials() -> None:
    first = entry(0, 0.3, source=SOURCE, direction="loss")
    second = entry(1, 0.4, source=SOURCE, values={"power": 0.5})
    broken = entry(2, crashed(), source=SOURCE, values={"power": 2.0})
    bare = entry(3, 0.9, source="class Model: pass", direction="loss")
    theirs = entry(4, 0.95, source=SOURCE + "#", proposer="baseline")
    tuner = Recording()
    numbers = NumbersProposer(tuner, declared)
    made = numbers.propose(brief([first, second, broken, bare, theirs]))
    assert isinstance(made, Candidate)
    assert made.source == SOURCE
    assert made.parents == (second.candidate.id,)
    assert made.operator == "tune"
    assert set(made.values) == {"power", "extra"}
    assert [(o.point["power"], o.score) for o in tuner.observed] == [
        (1.0, 0.3),
        (0.5, 0.4),
        (2.0, None),
    ]


def test_trials_are_shared_among_the_best_programs() -> None:
    entries = [
        entry(0, 0.4, source=SOURCE + "#a", direction="loss"),
        entry(1, 0.3, source=SOURCE + "#b", direction="loss"),
        entry(2, 0.2, source=SOURCE + "#c", direction="loss"),
        entry(3, 0.1, source=SOURCE + "#d", direction="loss"),
    ]
    numbers = NumbersProposer(Recording(), declared)
    for number in range(4, 30):
        made = numbers.propose(brief(entries, number=number))
        assert isinstance(made, Candidate)
        entries.append(
            Entry(number=number, candidate=made, evaluation=entries[0].evaluation, seconds=1.0)
        )
    counts = Counter(e.candidate.source[-1] for e in entries)
    assert counts["a"] >= counts["b"] >= counts["c"] > 1
    assert counts["d"] == 1


def test_numbers_of_what_reviewers_turned_down_are_left_alone() -> None:
    kept = entry(0, 0.3, source=SOURCE, direction="loss")
    barred = replace(entry(1, 0.4, source=SOURCE + "#b", direction="loss"), standing="barred")
    numbers = NumbersProposer(Recording(), declared)
    for number in range(6):
        made = numbers.propose(brief([kept, barred], number=number))
        assert isinstance(made, Candidate)
        assert made.source == SOURCE
    assert not numbers.can(brief([barred]))


def test_nothing_to_tune_is_said() -> None:
    numbers = NumbersProposer(Recording(), declared)
    assert not numbers.can(brief())
    assert isinstance(numbers.propose(brief([entry(0, crashed())])), Unusable)


# --- hybrid ---


class Arm:
    """Proposes itself."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.closed = False

    def propose(self, given: Brief) -> Candidate:
        return Candidate(source=f"{self.name} {given.number}", proposer=self.name)

    def close(self) -> None:
        self.closed = True


def hybrid() -> HybridProposer:
    return HybridProposer(
        {
            "llm": Arm("llm"),
            "tuner": NumbersProposer(Recording(), declared),
            "tpe": Arm("tpe"),
        },
        per_user=lambda _: {},
    )


def test_every_arm_is_tried_and_the_one_that_pays_gets_most() -> None:
    entries = [entry(0, 0.2, source=SOURCE, direction="loss")]
    both = hybrid()
    level = 0.2
    for number in range(1, 80):
        made = both.propose(brief(entries, number=number))
        assert isinstance(made, Candidate)
        if made.proposer == "llm":
            level += 0.002
        value = level if made.proposer == "llm" else 0.15
        scored = replace(entry(0, value).evaluation, fit_seconds=1.0)
        assert isinstance(scored, Scored)
        made = replace(made, direction="loss" if made.proposer == "llm" else "")
        entries.append(Entry(number=number, candidate=made, evaluation=scored, seconds=2.0))
    counts = Counter(e.candidate.proposer for e in entries[1:])
    assert min(counts["tuner"], counts["tpe"]) >= 2
    assert counts["llm"] > 50


def test_an_arm_that_has_nothing_to_propose_is_passed_over() -> None:
    chosen = {hybrid().choose(brief(number=number)) for number in range(40)}
    assert chosen == {"llm", "tpe"}


def test_an_arm_that_only_fails_is_not_fresh_for_ever() -> None:
    failed = Failed(kind="contract", reason="no code")
    entries = [entry(n, 0.2 + n / 100, proposer="tpe") for n in range(6)]
    entries += [
        Entry(number=n, candidate=Candidate(source="", proposer="llm"), evaluation=failed)
        for n in range(6, 12)
    ]
    chosen = Counter(hybrid().choose(brief(entries, number=n)) for n in range(12, 112))
    assert chosen["tpe"] > chosen["llm"]


def test_an_arm_that_fails_for_free_is_no_bargain() -> None:
    pulls = [Pull(arm="free", reward=0.0, cost=0.0)] * 12
    pulls += [Pull(arm="dear", reward=float(n % 4 == 0), cost=9.0) for n in range(12)]
    first = firsts(pulls, ("free", "dear"))
    assert first["dear"] > 3 * first["free"]


def test_how_soon_a_candidate_failed_is_no_merit() -> None:
    effects = Effects(METRIC, lambda _: {})
    soon = replace(entry(1, crashed()), seconds=0.1)
    late = replace(entry(2, Failed(kind="timeout", reason="")), seconds=60.0)
    found = [effects.pull("a", e, [soon, late]).cost for e in (soon, late, entry(3, 0.2))]
    assert found == [0.0, 60.0, 3.0]


def test_choices_are_reproducible_and_closing_reaches_the_arms() -> None:
    entries = [entry(n, 0.2 + n / 100, proposer="tpe") for n in range(6)]
    for number in range(10):
        now = brief(entries, number=number)
        assert hybrid().choose(now) == hybrid().choose(replace(now, seconds_left=1))
    arm = Arm("llm")
    HybridProposer({"llm": arm}).close()
    assert arm.closed
