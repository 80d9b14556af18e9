from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from evolver.evaluate.effect import bootstrap_effect, effect, noise_floor


def test_hand_computed() -> None:
    challenger = np.array([[1.0, 0.5, 0.5, 1.0], [1.0, 0.5, 0.0, 0.5]])
    incumbent = np.array([[0.5, 0.5, 0.0, 0.0], [0.5, 0.5, 0.0, 1.0]])
    got = effect(challenger, incumbent)
    differences = np.array([0.5, 0.0, 0.25, 0.25])
    over_users = differences.var(ddof=1) / 4
    # seed means 0.75 and 0.5 against 0.25 and 0.5: variance 0.03125 each, halved for two seeds
    assert got.difference == pytest.approx(0.25)
    assert got.users_variance == pytest.approx(over_users)
    assert got.seeds_variance == pytest.approx(0.03125)
    spread = over_users**2 / 3 + 2 * 0.015625**2
    assert got.freedom == pytest.approx((over_users + 0.03125) ** 2 / spread)


def test_without_seed_noise_it_is_the_paired_t_test() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.random(50), rng.random(50)
    got = effect(np.stack([one] * 3), np.stack([other] * 3))
    expected = ttest_1samp(one - other, 0, alternative="greater")
    assert got.p_value == pytest.approx(expected.pvalue)
    assert got.freedom == pytest.approx(49)


def test_many_comparisons_at_once_equal_one_by_one() -> None:
    rng = np.random.default_rng(1)
    new, old = rng.random((5, 3, 40)), rng.random((4, 40))
    together = effect(new, old)
    for number, each in enumerate(new):
        assert together.p_value[number] == pytest.approx(effect(each, old).p_value)


def test_equal_candidates_have_no_effect_and_certain_gains_are_certain() -> None:
    values = np.random.default_rng(2).random((3, 9))
    assert effect(np.ones((2, 9)), np.ones((2, 9))).p_value == 1
    assert effect(np.ones((2, 9)), np.zeros((2, 9))).p_value == 0
    assert effect(values, values).p_value == pytest.approx(0.5)


def test_one_seed_says_nothing_about_luck_in_training() -> None:
    with pytest.raises(ValueError, match="two seeds"):
        effect(np.ones((1, 9)), np.ones((3, 9)))
    with pytest.raises(ValueError, match="9 users cannot be paired with 8"):
        effect(np.ones((2, 9)), np.ones((2, 8)))


def test_the_bootstrap_has_the_spread_of_the_formula() -> None:
    rng = np.random.default_rng(3)
    new = rng.random((5, 400)) + rng.normal(0, 0.05, (5, 1))
    old = rng.random((4, 400)) + rng.normal(0, 0.05, (4, 1))
    draws = bootstrap_effect(new, old, resamples=20_000, seed=4)
    found = effect(new, old)
    assert draws.mean() == pytest.approx(found.difference, abs=0.002)
    assert draws.std() == pytest.approx(found.standard_error, rel=0.05)
    again = bootstrap_effect(new, old, resamples=20_000, seed=4)
    np.testing.assert_array_equal(draws, again)


def test_under_pure_noise_small_p_values_are_as_rare_as_they_say() -> None:
    """4,000 comparisons of equal candidates; seeds matter as much as users, or not at all."""
    rng = np.random.default_rng(5)
    for seed_noise in (0.0, 0.05):
        users = rng.normal(0, 1, (4000, 1, 200))
        new = users + rng.normal(0, 0.5, (4000, 3, 200)) + rng.normal(0, seed_noise, (4000, 3, 1))
        old = rng.normal(0, 0.5, (4000, 3, 200)) + rng.normal(0, seed_noise, (4000, 3, 1))
        p = effect(new, old).p_value
        for level in (0.05, 0.025, 0.01):
            assert (p <= level).mean() <= level + 3 * np.sqrt(level / 4000)


def test_noise_floor_hand_computed() -> None:
    got = noise_floor(np.array([[0.1, 0.3], [0.3, 0.5], [0.2, 0.4]]))
    assert got.mean == pytest.approx(0.3)
    assert got.seed_deviation == pytest.approx(0.1)
    assert got.user_error == pytest.approx(np.std([0.2, 0.4], ddof=1) / np.sqrt(2))
    assert got.difference == pytest.approx(4.302653 * 0.1 * np.sqrt(2 / 3), rel=1e-6)
    assert (got.seeds, got.users) == (3, 2)


def test_two_sets_of_runs_rarely_differ_by_more_than_the_floor() -> None:
    rng = np.random.default_rng(6)
    beyond = 0
    for _ in range(1000):
        runs = rng.normal(0.3, 0.02, (6, 1)) + np.zeros((6, 2))
        floor = noise_floor(runs[:3]).difference
        beyond += abs(runs[:3].mean() - runs[3:].mean()) > floor
    assert beyond / 1000 == pytest.approx(0.05, abs=0.025)


@pytest.mark.parametrize("shape", [(1, 5), (5, 1), (5,)])
def test_a_floor_needs_runs_and_users(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="two seeds and two users"):
        noise_floor(np.ones(shape))
