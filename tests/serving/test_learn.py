"""Learners, the rule of adoption, and policies as files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from evolver.errors import DataError, UsageError
from evolver.serving.adopt import judge, paragraph
from evolver.serving.learn import LEARNERS, choose, halves, learn
from evolver.serving.log import LogColumns, from_frame
from evolver.serving.policy import (
    SoftmaxPolicy,
    TablePolicy,
    UniformPolicy,
    as_logged,
    decide,
    draw,
    policy_from_json,
    read_policy,
    write_policy,
)
from evolver.serving.problem import Settings
from evolver.serving.simulate import TableBandit, synthetic

FAST = {"cem": 12, "cmaes": 25, "gradient": 80}


@pytest.fixture(scope="module")
def bandit() -> TableBandit:
    return synthetic(seed=1, actions=5, dependence=1.5, sharpness=0.5)


@pytest.mark.parametrize("name", sorted(LEARNERS))
def test_learners_beat_logging_and_repeat_themselves(name: str, bandit: TableBandit) -> None:
    log = bandit.log(2000, 0)
    settings = Settings(learner=name, steps=FAST[name])  # type: ignore[arg-type]
    policy = learn(log, settings, seed=3)
    assert np.array_equal(policy.weights, learn(log, settings, seed=3).weights)
    gap = bandit.best_static - bandit.logged_value
    assert bandit.value(policy) > bandit.logged_value + 0.5 * gap
    if name != "gradient":
        assert policy.encoder.terms == ("always",)
        assert bandit.value(policy) <= bandit.best_static + 1e-9


@pytest.mark.parametrize("goal", ["ips", "snips", "dr"])
def test_contextual_beats_the_best_static_policy(goal: str, bandit: TableBandit) -> None:
    log = bandit.log(4000, 1)
    policy = learn(log, Settings(goal=goal, steps=120))  # type: ignore[arg-type]
    assert bandit.value(policy) > bandit.best_static


def test_fusion_weights_of_scores_are_learned() -> None:
    """Items are shown by chance; a click follows one of two recall scores."""
    rng = np.random.default_rng(0)
    n, k = 1500, 6
    good, noise = rng.standard_normal((2, n, k))
    action = rng.integers(0, k, n)
    click = rng.random(n) < 1 / (1 + np.exp(1 - 2 * good[np.arange(n), action]))
    frame = pl.DataFrame({"action": action, "reward": click.astype(int), "propensity": [1 / k] * n})
    frame = frame.with_columns(
        [pl.Series(f"good_{a}", good[:, a]) for a in range(k)]
        + [pl.Series(f"noise_{a}", noise[:, a]) for a in range(k)]
    )
    log = from_frame(frame, LogColumns(scores={"good": "good_{action}", "noise": "noise_{action}"}))
    for settings in (Settings(learner="cem", steps=10), Settings(steps=60)):
        policy = learn(log, settings)
        assert policy.columns == ("good", "noise")
        assert policy.weights[0, 0] > 1
        assert abs(policy.weights[0, 1]) < 0.5 * policy.weights[0, 0]


def test_what_was_never_logged_is_never_chosen(bandit: TableBandit) -> None:
    log = bandit.log(500, 2)
    kept = log.take(log.actions != 2)
    policy = learn(kept, Settings(learner="cem", steps=5))
    assert policy.probabilities(log)[:, 2].max() == 0


def test_nothing_to_learn_is_said(bandit: TableBandit) -> None:
    log = bandit.log(100, 2)
    with pytest.raises(DataError, match="rewards of the log are the same"):
        learn(replace(log, rewards=np.zeros(100)), Settings())


def test_choose_prefers_contexts_where_they_matter(bandit: TableBandit) -> None:
    tried = (Settings(learner="cem", steps=8), Settings(steps=60))
    found = choose(bandit.log(3000, 5), tried)
    assert found[0].settings == tried[1]
    assert found[0].worth > found[1].worth


def test_halves_keep_groups_whole_and_lose_nothing() -> None:
    frame = pl.DataFrame(
        {
            "action": ["a", "b"] * 20,
            "reward": [0, 1, 1, 0] * 10,
            "propensity": [0.5] * 40,
            "row": range(40),
            "user": [n // 4 for n in range(40)],
        }
    )
    log = from_frame(frame, LogColumns(group="user", context=("row", "user")))
    for ordered in (False, True):
        one, other = halves(log, 0.3, 0, ordered=ordered)
        rows = [*one.context["row"], *other.context["row"]]
        assert sorted(rows) == list(range(40))
        assert not set(one.context["user"]) & set(other.context["user"])
        assert other.units == 3
        if ordered:
            assert min(other.context["row"]) == 28
    with pytest.raises(UsageError, match="cannot be split"):
        halves(log, 0.01, 0)


def test_a_better_policy_is_adopted_and_a_worse_one_not(bandit: TableBandit) -> None:
    log = bandit.log(3000, 7)
    means = bandit.chances.mean(axis=0)
    for arm, decision in ((means.argmax(), "adopt"), (means.argmin(), "keep")):
        policy = TablePolicy(table={"*": {bandit.names[arm]: 1.0}})
        for bound in ("betting", "student"):
            verdict = judge(log, policy.probabilities(log), bound=bound)  # type: ignore[arg-type]
            assert verdict.decision == decision, paragraph(verdict)
            if bound == "betting":
                assert verdict.evidence.lower < bandit.value(policy) - bandit.logged_value
    best = TablePolicy(table={"*": {bandit.names[means.argmax()]: 1.0}})
    chances = best.probabilities(log)
    assert judge(log, chances, chances).reason == "it is not better"
    assert judge(log, chances, least_gain=0.5).reason.startswith("better, but perhaps by less")
    few = np.arange(40)
    assert judge(log.take(few), chances[few]).reason.startswith("the log is worth")
    assert "confidence 95.0%" in paragraph(judge(log, chances))
    # against an incumbent that is estimated too
    verdict = judge(log, chances, UniformPolicy().probabilities(log), incumbent_name="uniform")
    assert verdict.evidence.incumbent_name == "uniform"
    assert verdict.evidence.gain == pytest.approx(
        bandit.value(best) - bandit.value(UniformPolicy()), abs=0.1
    )


def test_a_policy_of_unlogged_actions_is_kept_out(bandit: TableBandit) -> None:
    log = bandit.log(1000, 8)
    kept = log.take(log.actions != 0)
    verdict = judge(kept, UniformPolicy().probabilities(kept))
    assert verdict.decision == "keep"
    assert "was never logged" in verdict.reason


def test_under_pure_noise_adoption_is_as_rare_as_promised() -> None:
    """All actions are alike: whatever is learned is no better, and every adoption is wrong."""
    noise = synthetic(seed=2, actions=4, dependence=0.0, spread=0.0, sharpness=0.5)
    wrong = {"betting": 0, "student": 0}
    repeats = 60
    for seed in range(repeats):
        learning, judging = halves(noise.log(600, seed), 0.5, seed)
        policy = learn(learning, Settings(learner="cem", steps=3), seed=seed)
        chances = policy.probabilities(judging)
        for bound in list(wrong)[: 2 if seed < 20 else 1]:
            verdict = judge(judging, chances, level=0.1, bound=bound)  # type: ignore[arg-type]
            wrong[bound] += verdict.decision == "adopt"
    assert wrong["betting"] <= 0.1 * repeats
    assert wrong["student"] <= 5


def test_policies_come_back_from_their_files(tmp_path: Path, bandit: TableBandit) -> None:
    log = bandit.log(300, 3)
    learned = learn(log, Settings(steps=3, explore=0.1))
    for policy in (learned, as_logged(log), UniformPolicy()):
        write_policy(tmp_path / "p.json", policy, {"learned": {"rows": 300}})
        found = read_policy(tmp_path / "p.json")
        assert found.to_json() == policy.to_json()
        assert np.allclose(found.probabilities(log), policy.probabilities(log))
        assert policy.probabilities(log).sum(axis=1) == pytest.approx(np.ones(300))
    assert learned.probabilities(log).min() >= 0.1 / 5 - 1e-12
    assert learned.encoder.terms == ("always", "x0", "x1", "x2")


def test_a_policy_meets_actions_in_another_order(bandit: TableBandit) -> None:
    log = bandit.log(50, 3)
    policy = learn(log, Settings(steps=3))
    order = [3, 1, 0, 2]
    other = replace(log, names=tuple(log.names[n] for n in order), actions=np.zeros(50, dtype=int))
    assert np.allclose(policy.probabilities(other), policy.probabilities(log)[:, order])
    assert (policy.probabilities(other).sum(axis=1) < 1).all()


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("{", "is no JSON"),
        ('{"format": 2, "kind": "uniform"}', "has format 2"),
        ('{"format": 1, "kind": "tree"}', "kind 'tree' is unknown"),
        ('{"format": 1}', "cannot be read: KeyError"),
        ("[]", "cannot be read: TypeError"),
        ('{"format": 1, "kind": "table", "chances": {"*": {"a": 0.4}}}', "sum to 1"),
    ],
)
def test_bad_policy_files(tmp_path: Path, value: str, says: str) -> None:
    (tmp_path / "p.json").write_text(value)
    with pytest.raises(UsageError, match=says):
        read_policy(tmp_path / "p.json")


def test_a_softmax_file_with_an_unknown_weight_is_refused(bandit: TableBandit) -> None:
    value = learn(bandit.log(100, 1), Settings(steps=1)).to_json()
    again = json.loads(json.dumps(value))
    again["weights"]["always"]["action=zzz"] = 1.0
    with pytest.raises(UsageError, match="cannot be read"):
        policy_from_json(again)


def test_draw_and_decide(bandit: TableBandit) -> None:
    rng = np.random.default_rng(0)
    shares = np.bincount(draw(np.tile([0.2, 0.0, 0.8], (5000, 1)), rng), minlength=3) / 5000
    assert shares == pytest.approx([0.2, 0.0, 0.8], abs=0.03)
    policy = learn(bandit.log(500, 1), Settings(steps=20))
    assert isinstance(policy, SoftmaxPolicy)
    context = {"x0": 0.3, "x1": -1.0, "x2": 0.0}
    name, chance = decide(policy, context)
    assert chance == 1.0
    drawn = {decide(policy, context, rng)[0] for _ in range(300)}
    assert name in drawn
    with pytest.raises(DataError, match="looks at context 'x2'"):
        decide(policy, {"x0": 0.3, "x1": -1.0})
