"""Who trains next where more wait than can train at once."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Slots:
    """At most `count` turns at a time; of those who wait the lowest number goes first.

    A search proposes candidate n when all up to n - lag are settled, so what waits longest to be
    settled holds everybody up: taken in order of arrival, late replies let workers run dry.
    """

    def __init__(self, count: int) -> None:
        if count < 1:
            raise ValueError(f"at least one slot is needed, not {count}")
        self._free = count
        self._tickets = itertools.count()
        self._waiting: list[tuple[int, int]] = []
        self._changed = threading.Condition()

    @contextmanager
    def turn(self, number: int) -> Iterator[None]:
        """Wait for a slot and hold it; equal numbers go in order of arrival."""
        with self._changed:
            mine = number, next(self._tickets)
            heapq.heappush(self._waiting, mine)
            self._changed.wait_for(lambda: self._free and self._waiting[0] == mine)
            heapq.heappop(self._waiting)
            self._free -= 1
            self._changed.notify_all()  # more than one may be free
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._changed.notify_all()
