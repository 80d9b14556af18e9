"""What changes were worth: gains of children over their parents, with their noise where known."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evolver.core import Entry, Failed, Scored
from evolver.propose.bandit import Pull
from evolver.propose.operators import best

PerUser = Callable[[Entry], Mapping[str, NDArray[np.float32]]]
"""The values of each user for each metric of a scored entry; empty where they are not kept."""


@dataclass(frozen=True, slots=True)
class Gain:
    """Mean difference and its standard error, in pairs over users; None where users are unknown."""

    mean: float
    error: float | None = None

    @property
    def real(self) -> bool:
        """Above twice its standard error, or above zero where that is unknown."""
        return self.mean > 2 * (self.error or 0.0)

    @property
    def cautious(self) -> float:
        """What is left of the mean after one standard error; never negative."""
        return max(0.0, self.mean - (self.error or 0.0))

    def __str__(self) -> str:
        return f"{self.mean:+.4f}" + ("" if self.error is None else f" ± {self.error:.4f}")


class Effects:
    """Gains by one metric. Recorded values never change, so each is worked out once."""

    def __init__(self, metric: str, per_user: PerUser | None = None) -> None:
        self._metric = metric
        self._per_user = per_user or _kept_with_entry
        self._lock = threading.Lock()
        self._gains: dict[tuple[int, int], Gain | None] = {}
        self._errors: dict[int, float | None] = {}
        self._rewards: dict[int, float] = {}

    def gain(self, child: Entry, parent: Entry | None) -> Gain | None:
        """None where one of the two has no score."""
        if parent is None:
            return None
        key = child.number, parent.number
        with self._lock:
            if key in self._gains:
                return self._gains[key]
        found = self._gain(child, parent)
        with self._lock:
            self._gains[key] = found
        return found

    def error(self, entry: Entry) -> float | None:
        """The standard error over users of an entry's own score."""
        with self._lock:
            if entry.number in self._errors:
                return self._errors[entry.number]
        users = self._users(entry)
        found = None if users is None else float(users.std(ddof=1)) / math.sqrt(len(users))
        with self._lock:
            self._errors[entry.number] = found
        return found

    def rival(self, entry: Entry, history: Sequence[Entry]) -> Entry | None:
        """What a candidate is to be measured against: its best parent, or the best before it where
        it has none."""
        wanted = set(entry.candidate.parents)
        earlier = [e for e in history if e.number < entry.number]
        parents = [e for e in earlier if wanted and e.candidate.id in wanted]
        return best(parents, self._metric) or best(earlier, self._metric)

    def reward(self, entry: Entry, history: Sequence[Entry]) -> float:
        """What a candidate brought: its cautious gain over its rival. 0 for a failure."""
        with self._lock:
            if entry.number in self._rewards:
                return self._rewards[entry.number]
        found = self.gain(entry, self.rival(entry, history))
        reward = 0.0 if found is None else found.cautious
        with self._lock:
            self._rewards[entry.number] = reward
        return reward

    def pull(self, arm: str, entry: Entry, history: Sequence[Entry]) -> Pull:
        """An entry as a trial of an arm. How soon it failed is no merit, so that has no cost."""
        failed = isinstance(entry.evaluation, Failed) and entry.evaluation.kind != "timeout"
        cost = 0.0 if failed else entry.seconds
        return Pull(arm=arm, reward=self.reward(entry, history), cost=cost)

    def _gain(self, child: Entry, parent: Entry) -> Gain | None:
        after, before = child.score(self._metric), parent.score(self._metric)
        if after is None or before is None:
            return None
        a, b = self._users(child), self._users(parent)
        if a is None or b is None or len(a) != len(b):
            return Gain(after - before)
        gain = a - b
        return Gain(float(gain.mean()), float(gain.std(ddof=1)) / math.sqrt(len(gain)))

    def _users(self, entry: Entry) -> NDArray[np.float64] | None:
        found = self._per_user(entry).get(self._metric)
        return None if found is None or len(found) < 2 else np.asarray(found, dtype=np.float64)


def _kept_with_entry(entry: Entry) -> Mapping[str, NDArray[np.float32]]:
    return entry.evaluation.per_user if isinstance(entry.evaluation, Scored) else {}
