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
from evolver.tune.encoding import Encoding
from evolver.tune.sampling import Point, from_unit

BINS = 10
"""Into how many equal parts the range of a number is cut."""


class SpaceEnv(gymnasium.Env[NDArray[np.float32], np.int64]):
    """Decides the parameters that exist, in declared order.

    Observation: what is decided so far as `Encoding` lays it out, a one-hot of the parameter that
    is next, and `context`, which describes the data regime and constraints. Action: the index of
    a choice, or of a part of a number's range. `action_masks()` says which actions mean something
    (the convention of maskable policies); one beyond them counts from the start again. Reward: 0
    until the point is complete, then `reward(point)`; the point is `info["point"]`.
    """

    def __init__(
        self,
        space: Sequence[Parameter],
        reward: Callable[[Mapping[str, Value]], float],
        context: Sequence[float] = (),
    ) -> None:
        self._encoding = Encoding(tuple(space))
        self._reward = reward
        self._context = np.asarray(context, dtype=np.float32)
        sizes = [len(p.choices) if p.kind == "choice" else BINS for p in space]
        width = self._encoding.width + len(space) + len(self._context)
        self.action_space = gymnasium.spaces.Discrete(max(sizes))
        self.observation_space = gymnasium.spaces.Box(-1e3, 1e3, (width,), np.float32)
        self._sizes = sizes
        self._point: Point = {}
        self._index = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self._point = {}
        self._index = self._encoding.next_open(self._point, 0)
        return self._observation(), {}

    def step(
        self, action: np.int64
    ) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        parameter = self._encoding.space[self._index]
        part = int(action) % self._sizes[self._index]
        if parameter.kind == "choice":
            self._point[parameter.name] = parameter.choices[part]
        else:
            self._point[parameter.name] = from_unit(parameter, (part + 0.5) / BINS)
        self._index = self._encoding.next_open(self._point, self._index + 1)
        done = self._index == len(self._encoding.space)
        reward = float(self._reward(self._point)) if done else 0.0
        info = {"point": dict(self._point)} if done else {}
        return self._observation(), reward, done, False, info

    def action_masks(self) -> NDArray[np.bool_]:
        """(actions,): which of them mean something for the next decision."""
        here = min(self._index, len(self._sizes) - 1)
        return np.arange(max(self._sizes)) < self._sizes[here]

    def _observation(self) -> NDArray[np.float32]:
        step = np.zeros(len(self._encoding.space), dtype=np.float32)
        if self._index < len(step):
            step[self._index] = 1.0
        return np.concatenate([self._encoding.row(self._point), step, self._context])
