from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.stats import norm

from evolver.metrics.statistics import bootstrap_means, mean_interval, paired_bootstrap


def test_equals_all_resamples_of_a_tiny_case() -> None:
    values = np.array([0.0, 0.5, -0.25, 0.5])
    every = sorted(np.mean(pick) for pick in product(values, repeat=4))
    means = bootstrap_means(values, resamples=60_000, seed=1)
    assert means.mean() == pytest.approx(np.mean(every), abs=0.003)
    assert means.std() == pytest.approx(np.std(every), rel=0.02)
    assert set(np.round(means, 9)) <= set(np.round(every, 9))
    assert (means <= 0).mean() == pytest.approx(np.mean(np.array(every) <= 1e-12), abs=0.006)


@pytest.mark.parametrize("n", [1, 2, 1000, 70_000])
def test_spread_is_the_standard_error(n: int) -> None:
    values = np.random.default_rng(n).normal(0.3, 1.0, n)
    means = bootstrap_means(values, resamples=2000, seed=2)
    assert means.std() == pytest.approx(values.std() / np.sqrt(n), rel=0.1, abs=1e-12)
    slack = 4 * values.std() / np.sqrt(n * 2000) + 1e-12
    assert means.mean() == pytest.approx(values.mean(), abs=slack)


def test_interval_and_p_value_agree_with_normal_theory() -> None:
    rng = np.random.default_rng(0)
    b = rng.random(4000)
    a = b + np.where(rng.random(4000) < 0.4, rng.normal(0.01, 0.1, 4000), 0.0)
    got = paired_bootstrap(a, b, resamples=20_000, seed=3)
    error = (a - b).std() / np.sqrt(4000)
    assert got.difference == pytest.approx((a - b).mean())
    assert got.standard_error == pytest.approx(error, rel=0.03)
    assert got.low == pytest.approx(got.difference - norm.ppf(0.975) * error, abs=0.1 * error)
    assert got.high == pytest.approx(got.difference + norm.ppf(0.975) * error, abs=0.1 * error)
    assert got.p_value == pytest.approx(norm.sf(got.difference / error), abs=0.01)
    margin = paired_bootstrap(a, b, seed=3, margin=got.difference)
    assert margin.p_value == pytest.approx(0.5, abs=0.03)


def test_same_seed_same_answer_and_sides_mirror() -> None:
    rng = np.random.default_rng(4)
    a, b = rng.random(500), rng.random(500)
    one = paired_bootstrap(a, b, resamples=999, seed=5)
    assert one == paired_bootstrap(a, b, resamples=999, seed=5)
    assert one != paired_bootstrap(a, b, resamples=999, seed=6)
    other = paired_bootstrap(b, a, resamples=999, seed=5)
    assert (other.low, other.high) == (pytest.approx(-one.high), pytest.approx(-one.low))


@pytest.mark.parametrize("users", [7, 6_000])
def test_no_difference_is_no_evidence(users: int) -> None:
    found = paired_bootstrap(np.full(users, 0.25), np.full(users, 0.25), resamples=500)
    assert (found.difference, found.low, found.high, found.p_value) == (0.0, 0.0, 0.0, 1.0)


def test_certain_difference_has_the_smallest_p_value() -> None:
    got = paired_bootstrap(np.ones(50), np.zeros(50), resamples=99)
    assert (got.low, got.high, got.p_value) == (1, 1, pytest.approx(0.01))


def test_coverage_of_the_interval() -> None:
    rng = np.random.default_rng(8)
    inside = 0
    for trial in range(300):
        values = rng.exponential(1.0, 200)
        got = paired_bootstrap(values, np.zeros(200), resamples=400, seed=trial, level=0.9)
        inside += got.low <= 1.0 <= got.high
    assert 0.84 <= inside / 300 <= 0.95


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [([1.0], [1.0, 2.0], "pair"), ([], [], "pair"), ([np.nan], [1.0], "finite")],
)
def test_unusable_values_are_refused(a: list[float], b: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        paired_bootstrap(a, b)


def test_mean_interval() -> None:
    mean, low, high = mean_interval([1.0, 2.0, 3.0, 4.0])
    half = 1.959964 * np.std([1, 2, 3, 4], ddof=1) / 2
    assert (mean, low, high) == pytest.approx((2.5, 2.5 - half, 2.5 + half))
    assert mean_interval([3.0]) == (3.0, 3.0, 3.0)
    with pytest.raises(ValueError, match="interval"):
        mean_interval([])
