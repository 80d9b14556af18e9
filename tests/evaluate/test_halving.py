"""Who goes on, by hand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolver.core import Progress
from evolver.evaluate.halving import MedianRule, bar


@pytest.mark.parametrize(
    ("earlier", "eta", "wanted"),
    [
        ([], 3, None),  # the first one goes on
        ([0.5], 3, 0.5),  # one place for two
        ([0.1, 0.5], 3, 0.5),
        ([0.1, 0.5, 0.3], 3, 0.3),  # two places for four
        ([0.1, 0.5, 0.3, 0.4, 0.2], 3, 0.4),
        ([0.1, 0.5, 0.3, 0.4, 0.2], 2, 0.3),
    ],
)
def test_the_best_third_goes_on(earlier: list[float], eta: int, wanted: float | None) -> None:
    assert bar(earlier, eta) == wanted


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.integers(2, 5))
@settings(deadline=None)
def test_about_one_in_eta_goes_on_in_whatever_order_they_were_recorded(
    scores: list[float], eta: int
) -> None:
    wanted = bar(scores, eta)
    assert wanted == bar(sorted(scores), eta) == bar(scores[::-1], eta)
    better = sum(score > wanted for score in scores) if wanted is not None else 0
    assert better < len(scores) / eta + 1


def curve(*losses: float | None) -> list[Progress]:
    return [Progress(step=step, loss=loss) for step, loss in enumerate(losses, start=1)]


OTHERS = [curve(1.0, 0.8, 0.6), curve(1.0, 0.6, 0.5), curve(1.0, 0.9, 0.9)]
"""Means up to step 2: 0.9, 0.8, 0.95; their median is 0.9."""


@pytest.mark.parametrize(
    ("losses", "stops_at"),
    [
        ((0.9, 0.9, 0.8), None),  # its lowest, 0.9, equals the median: no worse
        ((0.99, 0.91, 0.9), 2),
        ((1.0, 1.0, 1.0), 2),  # step 1: 1.0 is the median of 1.0, 1.0, 1.0
        ((None, None, None), None),  # it says nothing of its loss
        ((0.2, 5.0, 5.0), None),  # the lowest so far counts
    ],
)
def test_a_trial_worse_than_the_median_is_stopped(
    losses: tuple[float | None, ...], stops_at: int | None
) -> None:
    rule = MedianRule(OTHERS)
    said = [rule(report) for report in curve(*losses)]
    assert said == [stops_at is None or step < stops_at for step in range(1, 4)]
    assert bool(rule.reason) == (stops_at is not None)


def test_two_earlier_trials_are_too_few_to_stop_anybody() -> None:
    rule = MedianRule(OTHERS[:2])
    assert all(rule(report) for report in curve(9.0, 9.0, 9.0))


def test_nobody_is_stopped_in_the_first_third() -> None:
    long = [[Progress(step=s, loss=1 / s) for s in range(1, 31)] for _ in range(3)]
    rule = MedianRule(long)
    said = [rule(Progress(step=step, loss=9.0)) for step in range(1, 12)]
    assert said == [True] * 9 + [False] * 2


def test_a_trial_longer_than_the_others_is_left_alone_where_they_have_not_been() -> None:
    rule = MedianRule(OTHERS)
    assert rule(Progress(step=4, loss=9.0))
