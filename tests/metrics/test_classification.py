from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from evolver.metrics import classification as ours


def random_case(seed: int, rows: int = 400, levels: int = 7):
    """Labels, probabilities with many ties, and users of very different sizes."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, rows)
    probabilities = rng.integers(0, levels + 1, rows) / levels
    return labels, probabilities, np.minimum(rng.geometric(0.1, rows), 30)


@pytest.mark.parametrize("seed", range(5))
def test_equals_scikit_learn(seed: int) -> None:
    labels, p, _ = random_case(seed)
    assert ours.auc(labels, p) == pytest.approx(reference.roc_auc_score(labels, p), abs=1e-12)
    assert ours.brier(labels, p) == pytest.approx(reference.brier_score_loss(labels, p), abs=1e-12)
    assert ours.log_loss(labels, p) == pytest.approx(reference.log_loss(labels, p), abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_gauc_equals_scikit_learn_group_by_group(seed: int) -> None:
    labels, p, users = random_case(seed)
    values, weights = [], []
    for user in np.unique(users):
        rows = users == user
        if len(np.unique(labels[rows])) == 2:
            values.append(reference.roc_auc_score(labels[rows], p[rows]))
            weights.append(rows.sum())
    expected = np.average(values, weights=weights)
    assert ours.gauc(labels, p, users) == pytest.approx(expected, rel=0, abs=1e-9)
    per_group, rows_of, _ = ours.auc_by_group(labels, p, users)
    np.testing.assert_allclose(per_group, values, atol=1e-12)
    assert rows_of.tolist() == weights


def test_hand_computed() -> None:
    assert ours.auc([0, 1, 1, 0], [0.1, 0.9, 0.4, 0.4]) == pytest.approx((1 + 1 + 1 + 0.5) / 4)
    assert ours.log_loss([1, 0], [0.5, 0.75]) == pytest.approx((np.log(2) + np.log(4)) / 2)
    assert ours.brier([1, 0], [0.5, 0.75]) == pytest.approx((0.25 + 0.5625) / 2)
    # user 1: 1.0 over 2 rows, user 2: 0.5 over 3 rows, user 3 has no negative row
    got = ours.gauc([1, 0, 1, 0, 0, 1], [0.9, 0.1, 0.5, 0.6, 0.4, 0.2], [1, 1, 2, 2, 2, 3])
    assert got == pytest.approx((2 * 1.0 + 3 * 0.5) / 5)


def test_calibration_error() -> None:
    rng = np.random.default_rng(0)
    p = rng.random(200_000)
    labels = rng.random(200_000) < p
    assert ours.calibration_error(labels, p) < 0.01
    assert ours.calibration_error(labels, p**2) > 0.1
    assert ours.calibration_error([1, 0, 0, 0], [0.25] * 4) == pytest.approx(0)
    assert ours.calibration_error([1, 1, 0, 0], [0.75, 0.75, 0.5, 0.5], bins=2) == pytest.approx(
        (2 * 0.25 + 2 * 0.5) / 4
    )


def test_a_certain_mistake_is_finite() -> None:
    assert np.isfinite(ours.log_loss([1, 0], [0.0, 1.0]))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 20)), min_size=2, max_size=40))
@settings(max_examples=200, deadline=None)
def test_auc_is_between_0_and_1_and_mirrors(rows) -> None:
    labels = np.array([int(label) for label, _ in rows])
    scores = np.array([score / 20 for _, score in rows])
    if len(np.unique(labels)) < 2:
        with pytest.raises(ValueError, match="positive and negative"):
            ours.auc(labels, scores)
        return
    value = ours.auc(labels, scores)
    assert 0 <= value <= 1
    assert ours.auc(labels, -scores) == pytest.approx(1 - value)
    assert ours.auc(1 - labels, scores) == pytest.approx(1 - value)
    assert ours.auc(labels, scores**3 + 2) == pytest.approx(value)


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        ([1, 0], [0.5], "shape"),
        ([], [], "shape"),
        ([2, 0], [0.5, 0.5], "0 or 1"),
        ([1, 0], [np.nan, 0.5], "finite"),
        ([1, 0], [1.5, 0.5], "between 0 and 1"),
    ],
)
def test_unusable_input_is_refused(labels, scores, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ours.log_loss(labels, scores)
    with pytest.raises(ValueError, match="positive and negative row"):
        ours.gauc([1, 1], [0.1, 0.2], [1, 1])
