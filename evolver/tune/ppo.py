"""Proximal policy optimisation in the environment of a space. Needs the extra `rl`."""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from evolver.core import Observation, Parameter, Value
from evolver.errors import UsageError
from evolver.tune.critic import Critic
from evolver.tune.encoding import Decisions
from evolver.tune.experience import Experience
from evolver.tune.sampling import Point, Rule, random_point, seeded, unlike_observed

_one_at_a_time = threading.Lock()


@dataclass
class PPO:
    """PPO (Schulman et al. 2017) from stable-baselines3 in the environment of the space.

    As with the controller of `rl`, a critic that has seen every trial rewards the episodes, and is
    drawn anew for each suggestion; so a call is a pure function of its arguments.
    """

    name: str = "ppo"
    startup: int = 1
    """Random points before the policy takes over, unless there is experience."""
    steps: int = 1024
    """Decisions that the policy is trained on."""
    experience: Sequence[Experience] = ()
    regime: tuple[float, ...] = ()
    rules: Sequence[Rule] = ()

    def within(self, rules: Sequence[Rule]) -> PPO:
        """The same, for a space with these rules."""
        return replace(self, rules=tuple(rules))

    def suggest(
        self, space: Sequence[Parameter], observed: Sequence[Observation], seed: int
    ) -> Mapping[str, Value]:
        earlier = [run for told in self.experience if (run := told.of(space)).observed]
        if len(observed) < self.startup and not earlier:
            return unlike_observed(
                space, observed, seed, lambda s: random_point(space, seeded(s), self.rules)
            )
        try:
            import stable_baselines3
        except ModuleNotFoundError:
            raise UsageError(
                "the tuner 'ppo' needs stable-baselines3: pip install 'evolver[rl]'"
            ) from None
        from evolver.tune.environment import SpaceEnv

        decisions = Decisions(tuple(space))
        runs = [*earlier, Experience(observed=tuple(observed), regime=self.regime)]
        critic = Critic(decisions, runs, seeded(seed, "critic"))

        def worth(point: Mapping[str, Value]) -> float:
            return float(critic(decisions.row(point)[None])[0])

        environment = SpaceEnv(space, worth, self.regime, self.rules)
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
                    seed=seed % 2**31,
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
                weights = _chances(policy, state) * environment.action_masks()
                action = np.int64(rng.choice(len(weights), p=weights / weights.sum()))
                state, _, done, _, info = environment.step(action)
                point = info.get("point", {})
            return point

        return unlike_observed(space, observed, seed, ask)


def _chances(policy: Any, state: NDArray[np.float32]) -> NDArray[np.float64]:
    """The probability of each action in this state."""
    with torch.no_grad():
        told = policy.policy.get_distribution(torch.as_tensor(state)[None]).distribution.probs
    return np.asarray(told.numpy()[0].astype(np.float64) + 1e-12)
