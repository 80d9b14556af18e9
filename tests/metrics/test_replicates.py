"""Statistics of a handful of replicates, against answers by hand and scipy."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from evolver.metrics.replicates import (
    EXACT,
    holm,
    mean_with_interval,
    replicates_needed,
    sign_flip_p,
    smallest_p,
)


def test_all_on_one_side_is_as_far_as_signs_go() -> None:
    assert sign_flip_p([0.1, 0.2, 0.3]) == pytest.approx(2 / 8)
    assert sign_flip_p([-0.1] * 6) == pytest.approx(2 / 64)


def test_sign_flips_counted_by_hand() -> None:
    # of |±3 ±2 ±1| the 2 patterns of 6 and the 2 of 4 (3 + 2 - 1 and its opposite) reach 4
    assert sign_flip_p([3.0, 2.0, -1.0]) == pytest.approx(4 / 8)
    assert sign_flip_p([1.0, -1.0]) == 1.0
    assert sign_flip_p([0.0, 0.0, 0.0]) == 1.0
    assert sign_flip_p([0.0, 1.0]) == 1.0  # a tie says nothing, so one pair is left


def test_sign_flips_agree_with_wilcoxon_where_ranks_are_the_values() -> None:
    values = np.array([1.0, -2.0, 3.0, 4.0, -5.0, 6.0, 7.0, 8.0])
    exact = stats.wilcoxon(values, method="exact").pvalue
    assert sign_flip_p(values) == pytest.approx(exact)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-1, 1).map(lambda v: round(v, 3)), min_size=2, max_size=9))
def test_sign_flips_agree_with_scipy(values: list[float]) -> None:
    found = stats.permutation_test(
        (np.array(values),), np.mean, permutation_type="samples", n_resamples=np.inf, axis=0
    )
    assert sign_flip_p(values) == pytest.approx(min(1.0, found.pvalue))


def test_many_replicates_are_drawn_and_come_close_to_the_t_test() -> None:
    values = np.random.default_rng(3).normal(0.4, 1.0, EXACT + 14)
    assert sign_flip_p(values) == sign_flip_p(values)
    assert sign_flip_p(values) == pytest.approx(stats.ttest_1samp(values, 0).pvalue, abs=0.01)


def test_the_smallest_p_and_how_many_seeds_it_takes() -> None:
    assert smallest_p(5) == pytest.approx(0.0625)
    assert smallest_p(1) == 1.0
    assert replicates_needed(1) == 6
    assert replicates_needed(2) == 7
    assert replicates_needed(4) == 8
    for comparisons in (1, 2, 5):
        needed = replicates_needed(comparisons)
        assert holm([sign_flip_p([1.0] * needed)] * comparisons)[0] <= 0.05
        assert holm([sign_flip_p([1.0] * (needed - 1))] * comparisons)[0] > 0.05


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.6, 0.7]) == pytest.approx([1.0, 1.0])
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


def test_the_interval_of_a_few_values_is_that_of_students_t() -> None:
    values = [0.30, 0.32, 0.31, 0.35, 0.29, 0.33]
    mean, low, high = mean_with_interval(values, resamples=100_000)
    error = float(np.std(values, ddof=1)) / sqrt(len(values))
    assert mean == pytest.approx(np.mean(values))
    assert low is not None
    assert high is not None
    assert high - low == pytest.approx(2 * stats.t.ppf(0.975, 5) * error, rel=0.05)
    assert mean_with_interval([0.3]) == (0.3, None, None)


def test_it_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for trial in range(300):
        _, low, high = mean_with_interval(rng.normal(0, 1, 5), resamples=800, seed=trial)
        hits += low is not None and high is not None and low <= 0 <= high
    assert hits / 300 > 0.92


@pytest.mark.parametrize("bad", [[], [float("nan")], [float("inf"), 1.0]])
def test_what_is_no_number_is_refused(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        mean_with_interval(bad)
    with pytest.raises(ValueError, match="finite"):
        sign_flip_p(bad)
