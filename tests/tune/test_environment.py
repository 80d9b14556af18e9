"""The environment of a space: Gymnasium's own checker, masks, and one reward at the end."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from evolver.core import Value
from evolver.testing import TUNER_SPACE
from evolver.tune.encoding import Encoding, centred_ranks
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
    assert len(lengths) > 1  # conditions make episodes of several lengths


def test_encoding_shows_what_is_decided_and_nothing_else() -> None:
    encoding = Encoding(TUNER_SPACE)
    assert encoding.width == 3 + 2 + 2 + 2 + 2 + 2 + 2
    row = encoding.row({"model": "c", "flag": False})
    assert row.tolist() == [0, 0, 1, 0, 1] + [0] * 10
    assert encoding.prefixes[2].tolist() == [1] * 5 + [0] * 10
    assert encoding.next_open({"model": "c"}, 2) == 3


def test_ranks_forget_the_scale() -> None:
    assert centred_ranks([5, 1, 3]).tolist() == [1, -1, 0]
    assert centred_ranks([2, 2]).tolist() == [0, 0]
    assert centred_ranks([7]).tolist() == [0]
