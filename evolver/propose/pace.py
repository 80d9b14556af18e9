"""When each model may be asked next: its rate, and what it asked us to wait."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Pace:
    """Spaces requests to one model evenly. Safe in threads.

    per_minute: how many requests may start, None for no limit of ours.
    """

    def __init__(self, per_minute: float | None, clock: Callable[[], float]) -> None:
        self._gap = 0.0 if per_minute is None else 60.0 / per_minute
        self._clock = clock
        self._lock = threading.Lock()
        self._next: dict[str, float] = {}

    def turn(self, model: str) -> float:
        """Take the next turn to ask `model`: seconds until it comes, 0 where that is now."""
        now = self._clock()
        with self._lock:
            due = max(now, self._next.get(model, now))
            self._next[model] = due + self._gap
            return due - now

    def hold_back(self, model: str, seconds: float) -> None:
        """Nobody asks `model` for so long: it said when to come back."""
        with self._lock:
            self._next[model] = max(self._next.get(model, 0.0), self._clock() + seconds)
