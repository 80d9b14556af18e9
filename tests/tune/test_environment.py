"""The environment of a space: Gymnasium's own checker, masks, and one reward at the end."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from evolver.core import Parameter, Value
from evolver.testing import TUNER_SPACE
from evolver.tune.encoding import BINS, Decisions, Encoding, centred_ranks
from evolver.tune.language import Constraint
from evolver.tune.points import problem

gymnasium = pytest.importorskip("gymnasium", reason="needs the extra rl")


def worth(point: Mapping[str, Value]) -> float:
    return 1.0 if point["model"] == "b" else 0.0


def test_gymnasium_accepts_it() -> None:
    from gymnasium.utils.env_checker import check_env

    from evolver.tune.environment import SpaceEnv

    check_env(SpaceEnv(TUNER_SPACE, worth), skip_render_check=True)


def test_an_episode_is_a_point_and_its_reward_comes_last() -> None:
    from evolver.tune.environment import SpaceEnv

    environment = SpaceEnv(TUNER_SPACE, worth, context=(0.25,))
    rng = np.random.default_rng(0)
    lengths = set()
    for _ in range(40):
        state, _ = environment.reset()
        assert state[-1] == 0.25
        rewards, done, info = [], False, {}
        while not done:
            allowed = np.flatnonzero(environment.action_masks())
            state, reward, done, _, info = environment.step(np.int64(rng.choice(allowed)))
            rewards.append(reward)
        assert problem(TUNER_SPACE, info["point"]) is None
        assert rewards[:-1] == [0.0] * (len(rewards) - 1)
        assert rewards[-1] == worth(info["point"])
        assert len(rewards) == len(info["point"])
        lengths.add(len(rewards))
        assert not environment.action_masks().any()
    assert len(lengths) > 1  # conditions make episodes of several lengths


def test_rules_close_the_actions_that_would_break_them() -> None:
    from evolver.tune.environment import SpaceEnv

    space = (
        Parameter(name="one", kind="choice", choices=("a", "b")),
        Parameter(name="two", kind="choice", choices=("x", "y", "z")),
    )
    rules = [
        Constraint(forbid={"one": "a", "two": ("x", "y")}, why=""),
        Constraint(forbid={"one": "b", "two": ("x", "y", "z")}, why=""),
    ]
    environment = SpaceEnv(space, lambda point: 0.0, rules=rules)
    environment.reset()
    assert environment.action_masks().tolist() == [True, True, False]
    state, *_ = environment.step(np.int64(0))
    assert environment.action_masks().tolist() == [False, False, True]
    assert state[-3:].tolist() == [0, 0, 1]  # the policy is told
    *_, info = environment.step(np.int64(1))
    assert info["point"] == {"one": "a", "two": "z"}
    environment.reset()
    environment.step(np.int64(1))
    assert environment.action_masks().all()  # no way out: left to be mended


def test_encoding_shows_what_is_decided_and_nothing_else() -> None:
    encoding = Encoding(TUNER_SPACE)
    assert encoding.width == 3 + 2 + 2 + 2 + 2 + 2 + 2
    row = encoding.row({"model": "c", "flag": False})
    assert row.tolist() == [0, 0, 1, 0, 1] + [0] * 10


def test_decisions_know_their_actions_and_when_they_exist() -> None:
    decisions = Decisions(TUNER_SPACE)
    assert decisions.sizes.tolist() == [3, 2, BINS, BINS, 2, BINS, BINS]
    assert decisions.parents.tolist() == [-1, -1, 0, -1, 0, 4, -1]
    assert decisions.opened[2, :3].tolist() == [True, True, False]  # depth, by model
    assert decisions.opened[5, :2].tolist() == [False, True]  # share, by mode
    assert decisions.value(0, 2) == "c"
    assert decisions.value(5, 0, 0.0) == 0.0
    assert decisions.value(5, BINS - 1, 1.0) == 1.0
    assert decisions.next_open({"model": "c"}, 2) == 3


def test_features_count_what_two_points_share() -> None:
    decisions = Decisions(TUNER_SPACE)
    near, nearer, far = decisions.rows(
        [{"model": "a", "rate": 0.01}, {"model": "a", "rate": 0.011}, {"model": "b", "rate": 1.0}]
    )
    assert near @ near == pytest.approx(2.0)
    assert near @ nearer == pytest.approx(2.0, abs=0.01)
    assert near @ far < 0.7


def test_ranks_forget_the_scale() -> None:
    assert centred_ranks([5, 1, 3]).tolist() == [1, -1, 0]
    assert centred_ranks([2, 2]).tolist() == [0, 0]
    assert centred_ranks([7]).tolist() == [0]
