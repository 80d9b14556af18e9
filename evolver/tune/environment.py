"""A typed space as a Gymnasium environment: one decision a step, one reward at the end.

Needs the extra `rl` (`pip install "evolver[rl]"`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from evolver.core import Parameter, Value
from evolver.tune.encoding import Decisions, Encoding
from evolver.tune.sampling import Point, Rule


class SpaceEnv(gymnasium.Env[NDArray[np.float32], np.int64]):
    """Decides the parameters that exist, in declared order.

    Observation: what is decided so far as `Encoding` lays it out, a one-hot of the parameter that
    is next, which actions are open, and `context`, which describes the data regime. Action: the
    index of a choice, or of a part of a number's range. `action_masks()` says which actions are
    open (the convention of maskable policies): those that mean something and break none of the
    `rules`, given what is decided. Another action stands for one of the open ones, counted
    from the start again. Reward: 0 until the point is complete, then `reward(point)`; the point is
    `info["point"]`.
    """

    def __init__(
        self,
        space: Sequence[Parameter],
        reward: Callable[[Mapping[str, Value]], float],
        context: Sequence[float] = (),
        rules: Sequence[Rule] = (),
    ) -> None:
        self._encoding = Encoding(tuple(space))
        self._decisions = Decisions(tuple(space))
        self._reward = reward
        self._context = np.asarray(context, dtype=np.float32)
        self._rules = tuple(rules)
        self._most = int(self._decisions.sizes.max())
        width = self._encoding.width + len(space) + self._most + len(self._context)
        self.action_space = gymnasium.spaces.Discrete(self._most)
        self.observation_space = gymnasium.spaces.Box(-1e3, 1e3, (width,), np.float32)
        self._point: Point = {}
        self._index = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self._point = {}
        self._index = self._decisions.next_open(self._point, 0)
        return self._observation(), {}

    def step(
        self, action: np.int64
    ) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        open_ = np.flatnonzero(self.action_masks())
        chosen = int(action) if int(action) in open_ else int(open_[int(action) % len(open_)])
        name = self._decisions.space[self._index].name
        self._point[name] = self._decisions.value(self._index, chosen)
        self._index = self._decisions.next_open(self._point, self._index + 1)
        done = self._index == len(self._decisions.space)
        reward = float(self._reward(self._point)) if done else 0.0
        info = {"point": dict(self._point)} if done else {}
        return self._observation(), reward, done, False, info

    def action_masks(self) -> NDArray[np.bool_]:
        """(actions,): which are open for the next decision; none once the point is complete."""
        mask = np.zeros(self._most, dtype=bool)
        if self._index < len(self._decisions.space):
            size = self._decisions.sizes[self._index]
            mask[:size] = self._decisions.lawful(self._index, self._point, self._rules)
        return mask

    def _observation(self) -> NDArray[np.float32]:
        step = np.zeros(len(self._decisions.space), dtype=np.float32)
        if self._index < len(step):
            step[self._index] = 1.0
        decided, open_ = self._encoding.row(self._point), self.action_masks().astype(np.float32)
        return np.concatenate([decided, step, open_, self._context])
