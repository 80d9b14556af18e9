"""Serving decisions: what there is to choose from, and what each does to a list."""

from __future__ import annotations

import numpy as np
import pytest

from evolver.errors import ConfigError, UsageError
from evolver.serving.decisions import (
    ServingDecision,
    ServingSpace,
    decision_from_name,
    serve,
)

SPACE = ServingSpace(
    lists=("knn", "pop"),
    steps=2,
    quotas=({"knn": 4, "pop": 4}, {"knn": 0, "pop": 8}),
    diversities=(0.0, 0.5),
)
LISTS = {
    "knn": (np.array([[3, 1, 0]]), np.array([[9.0, 5.0, 1.0]])),
    "pop": (np.array([[1, 2, 4]]), np.array([[100.0, 60.0, 20.0]])),
}
KINDS = np.eye(5)
KINDS[3] = KINDS[1]


def decision(share: float, diversity: float = 0.0, **quotas: int) -> ServingDecision:
    return ServingDecision(
        weights={"knn": share, "pop": 1 - share},
        quotas={"knn": 3, "pop": 3, **quotas},
        diversity=diversity,
    )


def test_a_space_lists_each_decision_that_has_an_effect_once() -> None:
    # three mixes with both lists, one with popularity alone, two diversities each
    assert len(SPACE.decisions) == 8
    assert len(set(SPACE.names)) == 8
    assert [decision_from_name(name) for name in SPACE.names] == list(SPACE.decisions)
    features = SPACE.features()
    assert features["weight knn"].tolist() == [d.weights["knn"] for d in SPACE.decisions]
    assert "diversity" in features
    assert "diversity squared" not in features
    assert "weight knn squared" in features
    assert SPACE.table()["action"].to_list() == list(SPACE.names)


def test_names_survive_thirds() -> None:
    space = ServingSpace(lists=("a", "b"), steps=3, quotas=({"a": 1, "b": 1},))
    for one in space.decisions:
        assert decision_from_name(one.name).weights == pytest.approx(one.weights, abs=1e-3)


def test_fusion_by_hand() -> None:
    def scaled(x: float) -> float:
        return 0.05 + 0.95 * x

    # knn: 3, 1, 0 at 1, 0.5, 0; pop: 1, 2, 4 at 1, 0.5, 0
    fused = {
        3: 0.5 * scaled(1), 1: 0.5 * scaled(0.5) + 0.5 * scaled(1), 0: 0.5 * scaled(0),
        2: 0.5 * scaled(0.5), 4: 0.5 * scaled(0),
    }  # fmt: skip
    wanted = sorted(fused, key=lambda item: (-fused[item], item))
    assert serve(decision(0.5), LISTS, KINDS, 5).tolist() == [wanted]
    assert serve(decision(1.0), LISTS, KINDS, 3).tolist() == [[3, 1, 0]]
    assert serve(decision(0.0), LISTS, KINDS, 3).tolist() == [[1, 2, 4]]


def test_quotas_limit_what_is_considered() -> None:
    assert serve(decision(1.0, pop=0), LISTS, KINDS, 5).tolist() == [[3, 1, 0, -1, -1]]
    assert set(serve(decision(0.5, knn=1, pop=1), LISTS, KINDS, 2)[0].tolist()) == {1, 3}


def test_diversity_avoids_what_is_alike() -> None:
    # items 1 and 3 are of one kind: after 3, item 1 comes last though knn likes it second
    assert serve(decision(1.0, 0.5, pop=0), LISTS, KINDS, 3).tolist() == [[3, 0, 1]]


@pytest.mark.parametrize(
    ("weights", "quotas", "diversity"),
    [
        ({"a": 0.5}, {"a": 1}, 0.0),
        ({"a": 1.0}, {"b": 1}, 0.0),
        ({"a": 1.0}, {"a": 0}, 0.0),
        ({"a": 1.0}, {"a": 1}, 1.5),
        ({"a": 2.0, "b": -1.0}, {"a": 1, "b": 1}, 0.0),
    ],
)
def test_bad_decisions(weights: dict[str, float], quotas: dict[str, int], diversity: float) -> None:
    with pytest.raises(ConfigError):
        ServingDecision(weights=weights, quotas=quotas, diversity=diversity)


def test_bad_names_and_lists() -> None:
    with pytest.raises(UsageError, match="names no serving decision"):
        decision_from_name("popularity")
    with pytest.raises(UsageError, match="recall list 'pop', which is not there"):
        serve(decision(0.5), {"knn": LISTS["knn"]}, KINDS, 2)
    with pytest.raises(ConfigError, match="blanks"):
        ServingSpace(lists=("a b",), quotas=({"a b": 1},))
    with pytest.raises(ConfigError, match="quotas"):
        ServingSpace(lists=("a",), quotas=())
