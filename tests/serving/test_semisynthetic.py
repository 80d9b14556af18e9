"""The bandit of serving decisions that is built from interactions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from evolver.data.dataset import Dataset
from evolver.errors import DataError
from evolver.serving.policy import TablePolicy
from evolver.serving.semisynthetic import from_interactions, space


def interactions(*, genres: bool = True) -> Dataset:
    rng = np.random.default_rng(0)
    users, items, length = 60, 120, 20
    group = rng.integers(0, 3, users)
    taken = [
        rng.choice(items, length, replace=False, p=np.where(np.arange(items) % 3 == g, 6, 1) / 320)
        for g in group
    ]
    kinds = csr_matrix(np.eye(3)[np.arange(items) % 3])
    return Dataset(
        name="toy",
        users=np.repeat(np.arange(users), length).astype(np.int32),
        items=np.concatenate(taken).astype(np.int32),
        user_ids=np.arange(users).astype(str),
        item_ids=np.arange(items).astype(str),
        ordered=True,
        item_features={"genre": kinds} if genres else {},
    )


def test_truth_is_exact_and_logs_agree_with_it() -> None:
    bandit = from_interactions(interactions())
    assert bandit.names == space().names
    assert (bandit.chances > 0).all()
    assert (bandit.chances < 1).all()
    assert bandit.logging.sum(axis=1) == pytest.approx(np.ones(60))
    assert bandit.logging.min() > 0.02
    best = int(bandit.chances.mean(axis=0).argmax())
    static = TablePolicy(table={"*": {bandit.names[best]: 1.0}})
    assert bandit.value(static) == pytest.approx(bandit.best_static)
    assert bandit.logged_value < bandit.best_static <= bandit.best_contextual
    log = bandit.log(4000, 1)
    assert log.rewards.mean() == pytest.approx(bandit.logged_value, abs=0.03)
    assert np.array_equal(bandit.chances, from_interactions(interactions()).chances)


def test_what_cannot_be_simulated_is_said() -> None:
    with pytest.raises(DataError, match="toy has no genres"):
        from_interactions(interactions(genres=False))
