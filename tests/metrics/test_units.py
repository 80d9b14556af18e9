from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import log_loss, roc_auc_score

from evolver.errors import UsageError
from evolver.metrics.classification import auc
from evolver.metrics.statistics import bootstrap_means
from evolver.metrics.units import auc_contributions, parse_paired, per_unit


def test_contributions_of_four_rows_by_hand() -> None:
    truth = np.array([True, False, True, False])
    scores = np.array([0.9, 0.8, 0.7, 0.1])
    # each positive: the share of negatives below it; each negative: of positives above it
    right = np.array([1.0, 0.5, 0.5, 1.0])
    expected = 0.75 + (right - 0.75) / 0.5
    assert auc_contributions(truth, scores) == pytest.approx(expected)


def test_a_tie_is_half_right() -> None:
    found = auc_contributions(np.array([True, False]), np.array([0.3, 0.3]))
    assert found == pytest.approx(np.array([0.5, 0.5]))


def rows(
    seed: int, n: int, n_units: int
) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    units = np.sort(np.append(np.arange(n_units), rng.integers(0, n_units, n - n_units)))
    taste = rng.normal(size=n_units)[units]
    logit = taste + rng.normal(size=n)
    labels = (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(np.float32)
    labels[:2] = 0, 1
    probabilities = np.round(1 / (1 + np.exp(-(logit + rng.normal(size=n)))), 2)
    return labels, probabilities.clip(0.01, 0.99), units


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), n_units=st.integers(2, 40))
def test_the_mean_over_units_is_the_metric(seed: int, n_units: int) -> None:
    labels, probabilities, units = rows(seed, 200, n_units)
    found = per_unit(labels, probabilities, units, n_units, ("auc", "gauc", "rig", "log_loss"))
    assert found["auc"].mean() == pytest.approx(roc_auc_score(labels, probabilities), abs=1e-9)
    loss = log_loss(labels, probabilities)
    share = labels.mean(dtype=np.float64)
    assert found["log_loss"].mean() == pytest.approx(loss, abs=1e-9)
    assert found["rig"].mean() == pytest.approx(
        1 - loss / log_loss(labels, np.full(200, share)), abs=1e-9
    )
    both = [u for u in range(n_units) if 0 < labels[units == u].mean() < 1]
    each = [roc_auc_score(labels[units == u], probabilities[units == u]) for u in both]
    expected = np.average(each, weights=[(units == u).sum() for u in both])
    assert found["gauc"].mean() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", ["auc", "rig"])
def test_a_bootstrap_of_contributions_is_as_wide_as_one_of_the_metric(name: str) -> None:
    """Users are drawn anew, all their rows with them, and the metric computed anew."""
    n_units = 150
    labels, one, units = rows(3, 3000, n_units)
    other = np.clip(one + np.random.default_rng(4).normal(0, 0.15, len(one)), 0.01, 0.99)
    contributions = [
        per_unit(labels, each, units, n_units, (name,))[name]  # type: ignore[arg-type]
        for each in (one, other)
    ]
    fast = bootstrap_means(contributions[0] - contributions[1], resamples=4000, seed=0)
    rng, places = np.random.default_rng(1), [np.flatnonzero(units == u) for u in range(n_units)]

    def metric(picked: NDArray[np.int64], of: NDArray[np.float64]) -> float:
        if name == "auc":
            return auc(labels[picked], of[picked])
        share = labels[picked].mean(dtype=np.float64)
        entropy = -share * np.log(share) - (1 - share) * np.log(1 - share)
        return 1 - log_loss(labels[picked], of[picked]) / entropy

    slow = []
    for _ in range(400):
        drawn = np.concatenate([places[u] for u in rng.integers(0, n_units, n_units)])
        slow.append(metric(drawn, one) - metric(drawn, other))
    assert fast.std() == pytest.approx(np.std(slow), rel=0.12)
    assert fast.mean() == pytest.approx(np.mean(slow), abs=0.3 * np.std(slow))


def test_users_of_one_kind_of_rows_sit_at_the_mean_of_gauc() -> None:
    labels = np.array([1, 0, 1, 1], dtype=np.float32)
    found = per_unit(labels, np.array([0.2, 0.6, 0.5, 0.5]), np.array([0, 0, 1, 1]), 2, ("gauc",))
    assert found["gauc"] == pytest.approx(np.array([0.0, 0.0]))


def test_what_cannot_be_said_is_refused() -> None:
    with pytest.raises(ValueError, match="positive and negative"):
        per_unit(np.ones(3, dtype=np.float32), np.full(3, 0.5), np.arange(3), 3, ("auc",))
    with pytest.raises(UsageError, match="auc, gauc, rig, log_loss"):
        parse_paired("ndcg@10")
