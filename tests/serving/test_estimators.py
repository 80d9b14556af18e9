"""Estimators by hand on a tiny log, and by simulation where the truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolver.errors import DataError
from evolver.serving.estimators import ESTIMATORS, Terms, rows_of, terms_of
from evolver.serving.log import BanditLog, LogColumns, from_frame
from evolver.serving.offpolicy import evaluate, honest_intervals, support_of
from evolver.serving.policy import UniformPolicy
from evolver.serving.rewards import predicted_rewards
from evolver.serving.simulate import synthetic

W = np.array([2.0, 0.5, 0.0, 4.0])
R = np.array([1.0, 0.0, 1.0, 1.0])
Q = np.array([0.5, 0.5, 0.25, 0.75])
V = np.array([0.4, 0.6, 0.5, 0.5])
TERMS = Terms(weights=W, rewards=R, predicted=Q, expected=V)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dm", 2.0 / 4),
        ("ips", (2 + 4) / 4),
        ("ips-clipped", (2 + 2) / 4),  # weights at most sqrt(4)
        ("snips", 6 / 6.5),
        ("dr", (2.0 + 2 * 0.5 - 0.5 * 0.5 + 4 * 0.25) / 4),
    ],
)
def test_by_hand(name: str, value: float) -> None:
    assert ESTIMATORS[name](TERMS).value == pytest.approx(value)


def test_dr_with_less_weight_lies_between_the_model_and_dr() -> None:
    for name in ("switch-dr", "dr-shrunk"):
        assert 0.5 <= ESTIMATORS[name](TERMS).value <= ESTIMATORS["dr"](TERMS).value + 1e-9


def test_influence_averages_to_the_estimate() -> None:
    for name, estimator in ESTIMATORS.items():
        rows = estimator(TERMS)
        assert rows.influence.mean() == pytest.approx(rows.value), name


def tiny(**columns: list[float] | list[str]) -> BanditLog:
    frame = pl.DataFrame(
        {
            "action": ["a", "b", "a", "b"],
            "reward": [1, 0, 0, 1],
            "propensity": [0.5, 0.5, 0.25, 0.75],
            **columns,
        }
    )
    group = "user" if "user" in columns else None
    position = "slot" if "slot" in columns else None
    return from_frame(frame, LogColumns(group=group, position=position))


def test_a_group_counts_once() -> None:
    log = tiny(user=["u", "u", "u", "v"])
    chances = UniformPolicy().probabilities(log)
    # weights 1, 1, 2, 2/3: u averages (1 + 0 + 0) / 3, v has 2/3
    rows = rows_of("ips", terms_of(log, chances, np.zeros((4, 2))), log)
    assert rows.top == pytest.approx([1 / 3, 2 / 3])
    assert support_of(log, chances).units == 2


def test_positions_are_bandits_of_their_own() -> None:
    log = tiny(slot=["1", "1", "2", "2"])
    found = evaluate(log, UniformPolicy().probabilities(log), resamples=0)
    assert [p.position for p in found.positions] == ["1", "2"]
    assert found.positions[0].ips == pytest.approx((1 * 1 + 1 * 0) / 2)
    assert found.positions[1].ips == pytest.approx((2 * 0 + 2 / 3 * 1) / 2)
    assert found.positions[1].snips == pytest.approx((2 / 3) / (2 + 2 / 3))


def test_the_logging_policy_itself_is_worth_what_it_earned() -> None:
    bandit = synthetic(sharpness=0.0, seed=3)
    log = bandit.log(500, 0)
    found = evaluate(log, UniformPolicy().probabilities(log), resamples=0)
    for name in ("ips", "snips"):
        assert found.estimates[name].value == pytest.approx(log.rewards.mean())
        assert found.gains[name].student.low == pytest.approx(0.0)
    assert found.support.effective == pytest.approx(500)
    assert not any("weights average" in w for w in found.support.warnings)


def test_choices_that_were_never_logged_are_refused() -> None:
    log = tiny(slot=["1", "2", "1", "2"])  # a only at 1, b only at 2
    with pytest.raises(DataError, match=r"50\.0% of the policy's choices fall on actions"):
        evaluate(log, UniformPolicy().probabilities(log))
    with pytest.raises(DataError, match="actions that the log does not know"):
        evaluate(log, np.full((4, 2), 0.4))


def test_wrong_propensities_are_noticed() -> None:
    bandit = synthetic(seed=3)
    log = bandit.log(3000, 0)
    chances = UniformPolicy().probabilities(log)
    assert not any("propensities" in w for w in support_of(log, chances).warnings)
    wrong = replace(log, propensities=np.full(len(log), 0.25))
    assert any("propensities are wrong" in w for w in support_of(wrong, chances).warnings)


def test_unbiased_and_covered_where_the_truth_is_known() -> None:
    bandit = synthetic(seed=4, sharpness=0.7)
    truth = bandit.value(UniformPolicy())
    values: dict[str, list[float]] = {name: [] for name in ("ips", "snips", "dr")}
    inside = dict.fromkeys(("ips", "snips", "dr", "betting", "bernstein"), 0)
    repeats = 60
    for seed in range(repeats):
        log = bandit.log(500, seed)
        found = evaluate(
            log, UniformPolicy().probabilities(log), estimators=tuple(values), resamples=0
        )
        for name, each in values.items():
            e = found.estimates[name]
            each.append(e.value)
            inside[name] += e.student.low <= truth <= e.student.high
        for name, interval in found.honest.items():
            inside[name] += interval.low <= truth <= interval.high
    for name, each in values.items():
        error = np.std(each) / repeats**0.5
        assert abs(np.mean(each) - truth) < 3.5 * error + (0.002 if name == "snips" else 0), name
        assert inside[name] >= 0.85 * repeats, name
    assert min(inside["betting"], inside["bernstein"]) >= 0.97 * repeats
    assert np.std(values["dr"]) < np.std(values["ips"])


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from([0, 1]), st.floats(0.05, 1.0)),
        min_size=4,
        max_size=30,
    )
)
def test_properties(rows: list[tuple[str, int, float]]) -> None:
    rows += [("a", 1, 0.5), ("b", 0, 0.5)]
    action, reward, propensity = zip(*rows, strict=True)
    frame = pl.DataFrame({"action": action, "reward": reward, "propensity": propensity})
    log = from_frame(frame, LogColumns())
    chances = UniformPolicy().probabilities(log)
    found = evaluate(log, chances, resamples=0)
    assert 0 <= found.estimates["snips"].value <= 1
    assert 0 <= found.estimates["dm"].value <= 1
    assert found.estimates["ips-clipped"].value <= found.estimates["ips"].value + 1e-12
    assert 1 <= found.support.effective <= len(log) + 1e-9
    weights = terms_of(log, chances, np.zeros((len(log), 2))).weights
    for interval in honest_intervals(log, weights, 0.95).values():
        assert interval.low >= 0
        assert interval.high <= 1


def test_a_row_is_predicted_by_a_model_that_never_saw_it() -> None:
    bandit = synthetic(seed=5)
    log = bandit.log(300, 0)
    before = predicted_rewards(log, folds=5)
    changed = log.rewards.copy()
    changed[7] = 1 - changed[7]
    after = predicted_rewards(replace(log, rewards=changed), folds=5)
    assert after[7] == pytest.approx(before[7])
    unchanged = np.isclose(after, before, atol=1e-12).all(axis=1)
    assert 40 <= unchanged.sum() <= 80  # its fold, and no other


def test_the_reward_model_learns_what_depends_on_the_context() -> None:
    bandit = synthetic(seed=6, dependence=2.0, actions=4, sharpness=0.3)
    log = bandit.log(3000, 0)
    columns = log.context.columns
    truth = dict(zip(bandit.context.rows(), bandit.chances, strict=True))
    wanted = np.stack([truth[row] for row in log.context.select(columns).rows()])
    found = predicted_rewards(log)
    assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.95
