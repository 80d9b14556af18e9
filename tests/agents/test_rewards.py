from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from evolver.agents import rewards
from evolver.config import RewardConfig

LISTS = np.array([[0, 1], [0, 2]], dtype=np.int32)
FEATURES = csr_matrix(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))
POPULARITY = np.array([6, 4, 2, 0])


def outer(config: RewardConfig, **more: Any) -> rewards.Outer:
    given: dict[str, Any] = {
        "popularity": POPULARITY,
        "features": FEATURES,
        "latency_ms": 50.0,
        "cost_seconds": 30.0,
    }
    return rewards.outer(config, LISTS, np.array([1.0, 0.5]), **{**given, **more})


def test_the_worked_example_of_the_page() -> None:
    weights = {"relevance": 1.0, "diversity": 0.1, "coverage": 0.2, "latency": 0.1, "cost": 0.2}
    found = outer(RewardConfig(weights=weights))  # type: ignore[arg-type]
    # items 0 and 1 are alike, 0 and 2 are not; three of four items are shown
    assert found.parts["diversity"] == pytest.approx(0.5)
    assert found.parts["coverage"] == 0.75
    shared = 0.2 * 0.75 - 0.1 * 50 / 100 - 0.2 * 30 / 60
    assert found.per_user.tolist() == pytest.approx([1.0 + shared, 0.5 + 0.1 + shared])
    assert found.reward == pytest.approx(0.75 + 0.1 * 0.5 + shared)


def test_novelty_is_a_share_of_the_most_there_is() -> None:
    found = outer(RewardConfig(weights={"novelty": 1.0}))
    bits = -np.log2((POPULARITY + 1) / 16)
    own = [(bits[0] + bits[1]) / 2 / 4, (bits[0] + bits[2]) / 2 / 4]
    assert found.per_user.tolist() == pytest.approx(own)


def test_without_item_features_there_is_no_diversity() -> None:
    assert outer(RewardConfig(), features=None).parts["diversity"] == 0.0


def test_a_broken_bound_costs_what_it_is_broken_by() -> None:
    config = RewardConfig(
        mode="constraints",
        weights={"relevance": 1.0},
        constraints={"latency": 40.0, "coverage": 0.5, "diversity": 1.0},
        penalty=2.0,
    )
    found = outer(config)
    assert found.broken == {"latency": 0.25, "diversity": 0.5}
    assert found.reward == pytest.approx(0.75 - 2.0 * 0.75)
    kept = outer(config, latency_ms=40.0)
    assert "latency" not in kept.broken


def test_bounds_mean_nothing_in_another_mode() -> None:
    config = RewardConfig(weights={"relevance": 1.0}, constraints={"latency": 1.0})
    assert outer(config).reward == pytest.approx(0.75)


def test_the_front_holds_what_no_other_point_beats() -> None:
    assert rewards.front([(1.0, 0.0), (0.5, 0.5), (0.4, 0.5), (0.5, 0.5), (0.0, 1.0)]) == [
        0,
        1,
        3,
        4,
    ]


def test_objectives_are_those_with_a_weight_and_costs_are_negated() -> None:
    config = RewardConfig(weights={"relevance": 1.0, "latency": 0.1})
    parts = outer(config).parts
    assert rewards.objectives(config, parts) == (0.75, -50.0)


def test_an_agents_reward_is_its_own_and_the_wholes() -> None:
    config = RewardConfig(inner_weight=0.25)
    assert rewards.layered(config, 0.5, 0.4) == pytest.approx(0.6)
    assert rewards.layered(config, 0.5, None) == 0.5
    assert rewards.metric_of(RewardConfig(relevance="recall@20")) == "reward@20"
