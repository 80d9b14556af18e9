from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.promotion_simulation import World, rates
from evolver.config import PromoteConfig
from evolver.core import Scored
from evolver.evaluate.promotion import judge, spend

CONFIG = PromoteConfig()
RNG = np.random.default_rng(0)
BASE = RNG.random(600)


def runs(gain: float = 0.0, seeds: int = 3, noise: float = 0.001, seed: int = 1) -> Any:
    """(seeds, users): the base and a gain, which users feel differently, and luck in training."""
    rng = np.random.default_rng(seed)
    taste = rng.normal(0, 0.1, len(BASE))
    taste -= taste.mean()
    return BASE + gain + taste + rng.normal(0, noise, (seeds, 1))


def scored(values: NDArray[np.float64], **changes: Any) -> list[Scored]:
    facts: dict[str, Any] = {
        "fit_seconds": 1, "score_seconds": 1, "latency_ms_p50": 1, "latency_ms_p99": 20,
        "parameters": 1, "peak_bytes": 1 << 30,
    }  # fmt: skip
    metrics = {"coverage@10": 0.4, "popularity_share@10": 0.3}
    metrics |= {name: changes.pop(name) for name in list(changes) if "@" in name}
    return [
        Scored(
            metrics={"ndcg@10": float(each.mean()), **metrics},
            per_user={"ndcg@10": each.astype(np.float32)},
            **{**facts, **changes},
        )
        for each in values
    ]


OLD = scored(runs(seed=2))


def verdict(challenger: list[Scored], incumbent: list[Scored] = OLD, **more: Any) -> Any:
    more = {"metric": "ndcg@10", "reading": 1, "config": CONFIG, "resamples": 2000} | more
    return judge(challenger, incumbent, **more)


def test_a_clear_gain_is_promoted_with_its_evidence() -> None:
    got = verdict(scored(runs(0.05)))
    assert got.decision == "promote"
    e = got.evidence
    assert e.difference == pytest.approx(0.05, abs=0.002)
    assert e.low < e.difference < e.high
    assert e.low > 0
    assert (e.users, e.seeds, e.reading, e.allowed) == (600, (3, 3), 1, pytest.approx(0.025))
    assert e.minimum_effect >= CONFIG.minimum_gain * e.incumbent
    data = json.loads(json.dumps(got.as_data(), allow_nan=False))
    assert data["decision"] == "promote"
    assert [rail["name"] for rail in data["evidence"]["guardrails"]] == [
        "latency p99 (ms)", "peak memory (bytes)", "popularity share", "coverage",
    ]  # fmt: skip
    text = str(got)
    assert "\n" not in text
    assert text.startswith("Promote: better beyond luck and beyond the minimum effect. ndcg@10 0.")
    assert "over 600 users and 3 against 3 seeds" in text
    assert "Guardrails: all 4 held." in text


def test_no_gain_is_rejected() -> None:
    got = verdict(scored(runs(-0.01)))
    assert (got.decision, got.reason) == ("reject", "it is not better")


def test_a_gain_below_the_minimum_is_rejected_however_sure() -> None:
    config = PromoteConfig(minimum_gain=0.2)
    got = verdict(scored(runs(0.05)), config=config)
    assert (got.decision, got.reason) == ("reject", "better, but by less than the minimum effect")
    assert got.evidence.p_value < 0.001


def test_a_gain_below_the_noise_floor_is_not_promoted() -> None:
    got = verdict(scored(runs(0.05, noise=0.05, seed=3)), scored(runs(noise=0.05, seed=4)))
    assert got.decision != "promote"
    assert got.evidence.minimum_effect == got.evidence.floor.difference > 0.05


def test_an_incumbent_without_luck_in_training_has_a_minimum_from_its_users() -> None:
    """No floor over seeds: luck in which users were drawn is what is left, and users are paired."""
    old = np.repeat(runs(seeds=1), 3, axis=0)
    rng = np.random.default_rng(4)
    new = np.repeat(old[:1] + rng.normal(0.01, 0.2, old.shape[1]), 3, axis=0)
    got = verdict(scored(new), scored(old))
    e = got.evidence
    paired = (new[0] - old[0]).astype(np.float32).std(ddof=1) / np.sqrt(old.shape[1])
    assert e.floor.difference == 0
    assert e.minimum_effect == pytest.approx(1.959964 * paired, rel=1e-4)
    assert e.minimum_effect > CONFIG.minimum_gain * e.incumbent
    assert e.minimum_effect < 1.959964 * np.sqrt(2) * e.floor.user_error
    assert (got.decision == "promote") == (e.difference >= e.minimum_effect)


def test_a_possible_gain_is_asked_again_with_more_seeds() -> None:
    got = verdict(scored(runs(0.08, noise=0.03, seed=9)), scored(runs(noise=0.03, seed=29)))
    assert got.evidence.seeds_share > 0.5
    assert got.decision == "extend"
    assert 3 < got.seeds <= CONFIG.most_seeds
    assert got.reason == f"promising, and {got.seeds} seeds could bring the noise floor below it"


def test_where_users_are_the_doubt_more_seeds_are_not_asked_for() -> None:
    got = verdict(scored(runs(0.006)))
    assert got.decision == "reject"
    assert got.reason == "the gain may be luck, and more seeds would not settle it"


def test_too_few_seeds_are_extended_before_anything_is_said() -> None:
    got = verdict(scored(runs(0.05, seeds=1)))
    assert (got.decision, got.seeds, got.evidence) == ("extend", 3, None)
    assert str(got) == ("Extend: 1 of 3 seeds are there; luck in training cannot be told yet.")
    json.dumps(got.as_data())


def test_seeds_are_not_added_without_end() -> None:
    many = CONFIG.most_seeds
    new = scored(runs(0.02, seeds=many, noise=0.05, seed=5))
    got = verdict(new, scored(runs(seeds=many, noise=0.05, seed=6)))
    assert got.decision == "reject"


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"latency_ms_p99": 61.0}, "latency p99 (ms)"),
        ({"peak_bytes": 4 << 30}, "peak memory (bytes)"),
        ({"popularity_share@10": 0.46}, "popularity share"),
        ({"coverage@10": 0.27}, "coverage"),
    ],
)
def test_a_broken_guardrail_rejects_and_is_named(change: dict[str, Any], name: str) -> None:
    got = verdict(scored(runs(0.05), **change))
    assert got.decision == "reject"
    assert got.reason == f"it pays with {name}"
    assert f"Guardrails: {name} " in str(got)
    assert "limit" in str(got)


def test_guardrails_hold_at_their_limit_and_small_latencies_are_let_be() -> None:
    at_limit = {"latency_ms_p99": 60.0, "popularity_share@10": 0.44, "coverage@10": 0.29}
    assert verdict(scored(runs(0.05), **at_limit)).decision == "promote"
    fast, faster = scored(runs(0.05), latency_ms_p99=4.0), scored(runs(seed=2), latency_ms_p99=0.1)
    assert verdict(fast, faster).decision == "promote"


def test_a_slice_that_measurably_lost_rejects() -> None:
    group = np.arange(600) < 150
    slices = {"few interactions": group, "everyone else": ~group, "tiny": np.arange(600) < 5}
    new = runs(0.08)
    assert verdict(scored(new), slices=slices).decision == "promote"
    got = verdict(scored(np.where(group, new - 0.16, new)), slices=slices)
    assert got.decision == "reject"
    assert got.reason == "it pays with slice few interactions"
    assert "slice tiny" not in [rail.name for rail in got.evidence.guardrails]


def test_later_readings_may_spend_less_and_all_together_the_level() -> None:
    assert [spend(0.05, j) for j in (1, 2, 3)] == pytest.approx([0.025, 0.05 / 6, 0.05 / 12])
    assert sum(spend(0.05, j) for j in range(1, 100_000)) == pytest.approx(0.05, rel=1e-4)
    with pytest.raises(ValueError, match="from 1"):
        spend(0.05, 0)
    late = verdict(scored(runs(0.014, seed=8)), reading=200)
    early = verdict(scored(runs(0.014, seed=8)), reading=1)
    assert late.evidence.p_value == early.evidence.p_value
    assert (early.decision, late.decision) == ("promote", "reject")


def test_equal_arguments_give_an_equal_verdict() -> None:
    assert verdict(scored(runs(0.05))) == verdict(scored(runs(0.05)))


def test_runs_on_different_users_are_our_fault() -> None:
    with pytest.raises(ValueError, match="different users"):
        verdict([*scored(runs(0.05))[:2], *scored(runs(0.05)[:, :9])])


def test_false_promotions_stay_under_the_level_over_a_thousand_searches() -> None:
    """Nobody is better; each search brings its two luckiest of six candidates to the gate."""
    world = World(users=150, candidates=6, finalists=2, seed_noise=0.03)
    found = rates(world, ["this gate", "highest mean"], 1000, CONFIG)
    assert found["this gate"][0] <= CONFIG.level
    assert found["highest mean"][0] > 0.5  # which is why there is a gate


def test_a_true_gain_is_found() -> None:
    world = World(users=1000, candidates=6, finalists=2, good=2, true_gain=0.15)
    ((wrong, right),) = rates(world, ["this gate"], 60, CONFIG).values()
    assert right >= 0.8
    assert wrong <= 0.05
