"""Proximal policy optimisation on a learned model of the score. Needs the extra `rl`."""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesRegressor

from evolver.core import Observation, Parameter, Value
from evolver.errors import UsageError
from evolver.tune.encoding import Encoding, centred_ranks
from evolver.tune.sampling import Point, filled, random_point, seeded, unlike_observed

_one_at_a_time = threading.Lock()


@dataclass
class PPO:
    """PPO (Schulman et al. 2017) from stable-baselines3 in the environment of the space.

    Real trials are far too few for PPO, so the reward of an episode is a model's: randomised trees
    fitted to the observed ranks, plus a bonus for what the trees disagree about. Every call trains
    anew with a fixed seed, so it is a pure function of its arguments.
    """

    name: str = "ppo"
    startup: int = 8
    steps: int = 512
    bonus: float = 0.5
    trees: int = 20
    context: tuple[float, ...] = ()

    def suggest(
        self, space: Sequence[Parameter], observed: Sequence[Observation], seed: int
    ) -> Mapping[str, Value]:
        if len(observed) < self.startup:
            return unlike_observed(space, observed, seed, lambda s: random_point(space, seeded(s)))
        try:
            import stable_baselines3
        except ModuleNotFoundError:
            raise UsageError(
                "the tuner 'ppo' needs stable-baselines3: pip install 'evolver[rl]'"
            ) from None
        from evolver.tune.environment import SpaceEnv

        environment = SpaceEnv(space, self._model(space, observed), self.context)
        # The library seeds the process's generators: kept apart, and put back afterwards.
        with _one_at_a_time:
            before = random.getstate(), np.random.get_state(), torch.get_rng_state()
            try:
                policy = stable_baselines3.PPO(
                    "MlpPolicy",
                    environment,
                    n_steps=256,
                    batch_size=64,
                    n_epochs=4,
                    learning_rate=2e-3,
                    ent_coef=0.01,
                    gamma=1.0,
                    seed=0,
                    device="cpu",
                )
                policy.learn(self.steps)
            finally:
                random.setstate(before[0])
                np.random.set_state(before[1])
                torch.set_rng_state(before[2])

        def ask(derived: int) -> Point:
            rng = seeded(derived)
            state, _ = environment.reset()
            done, point = False, {}
            while not done:
                weights = _chances(policy, state)
                action = np.int64(rng.choice(len(weights), p=weights))
                state, _, done, _, info = environment.step(action)
                point = info.get("point", {})
            return point

        return unlike_observed(space, observed, seed, ask)

    def _model(self, space: Sequence[Parameter], observed: Sequence[Observation]) -> _Model:
        encoding = Encoding(tuple(space))
        trees = ExtraTreesRegressor(self.trees, min_samples_leaf=2, random_state=0)
        ranks = centred_ranks([score for _, score in filled(observed)])
        trees.fit(encoding.rows([o.point for o in observed]), ranks)
        return _Model(encoding, trees, self.bonus)


def _chances(policy: Any, state: NDArray[np.float32]) -> NDArray[np.float64]:
    """The probability of each action in this state."""
    with torch.no_grad():
        told = policy.policy.get_distribution(torch.as_tensor(state)[None]).distribution.probs
    weights = told.numpy()[0].astype(np.float64)
    return np.asarray(weights / weights.sum())


class _Model:
    """What a point is expected to be worth, optimistically. Remembers, since episodes repeat."""

    def __init__(self, encoding: Encoding, trees: ExtraTreesRegressor, bonus: float) -> None:
        self._encoding, self._trees, self._bonus = encoding, trees, bonus
        self._known: dict[bytes, float] = {}

    def __call__(self, point: Mapping[str, Value]) -> float:
        row = self._encoding.row(point)
        if row.tobytes() not in self._known:
            each = [tree.tree_.predict(row[None])[0, 0] for tree in self._trees.estimators_]
            self._known[row.tobytes()] = float(np.mean(each) + self._bonus * np.std(each))
        return self._known[row.tobytes()]
