"""Intervals: by hand, and how often they miss."""

from __future__ import annotations

import numpy as np
import pytest

from evolver.serving.intervals import bernstein_bound, betting_bound, bootstrap, student


def test_student_by_hand() -> None:
    found = student(np.array([1.0, 2.0, 3.0]), 0.95)
    assert found.low == pytest.approx(2 - 4.302653 / 3**0.5, abs=1e-5)
    assert student(np.array([1.0])).high == np.inf


def test_bernstein_by_hand() -> None:
    values = np.array([0.0, 1.0] * 500)
    spread = 0.25 * 1000 / 999
    term = np.log(2 / 0.05)
    wanted = 0.5 - (2 * spread * term / 1000) ** 0.5 - 7 * term / (3 * 999)
    assert bernstein_bound(values, 0.0, 1.0, 0.05) == pytest.approx(wanted)


def test_betting_by_hand_on_one_value() -> None:
    # One value 5 against mean m: the stake is min(sqrt(2 ln 20 / 0.25), 0.5 / m), so the capital is
    # 1 + 0.5 (5 / m - 1), which reaches 1 / 0.05 at m = 2.5 / 19.5
    assert betting_bound(np.array([5.0]), 0.0, 0.05) == pytest.approx(2.5 / 19.5, rel=1e-6)
    assert betting_bound(np.array([4.0]), -1.0, 0.05) == pytest.approx(2.5 / 19.5 - 1, rel=1e-6)


def test_betting_refuses_what_is_below_the_floor() -> None:
    with pytest.raises(ValueError, match="at least 0"):
        betting_bound(np.array([-0.1]), 0.0, 0.05)
    assert betting_bound(np.zeros(9), 0.0, 0.05) == 0.0


def test_honest_bounds_miss_seldom_where_student_misses_often() -> None:
    """Rare large values, as importance weights are: upper bounds by Student miss them."""
    rng = np.random.default_rng(0)
    missed = {"betting": 0, "bernstein": 0, "student above": 0}
    repeats = 400
    for _ in range(repeats):
        values = np.where(rng.random(100) < 0.01, 100.0, 0.0)  # mean 1
        missed["betting"] += betting_bound(values, 0.0, 0.05) > 1
        missed["bernstein"] += bernstein_bound(values, 0.0, 100.0, 0.05) > 1
        missed["student above"] += student(values, 0.9).high < 1
    assert missed["betting"] <= 0.05 * repeats
    assert missed["bernstein"] <= 0.05 * repeats
    assert missed["student above"] > 0.2 * repeats


def test_betting_closes_in() -> None:
    rng = np.random.default_rng(1)
    values = rng.random(20_000) < 0.3
    bound = betting_bound(values.astype(float), 0.0, 0.05)
    assert values.mean() - 0.02 < bound < values.mean()


def test_bootstrap_of_a_ratio() -> None:
    rng = np.random.default_rng(2)
    bottom = rng.exponential(size=2000)
    found = bootstrap(0.3 * bottom, bottom, seed=1)
    assert found.low == pytest.approx(0.3)
    values = rng.normal(size=2000)
    close = bootstrap(values, seed=1)
    assert close.low == pytest.approx(student(values).low, abs=0.005)
    assert bootstrap(values, seed=1) == close
