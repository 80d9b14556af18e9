"""What several searches use one after the other, though each search closes its own when it ends.

A search hands candidates in, ends, and closes its sandbox and its proposer. Warm workers and a
checked model endpoint are worth keeping for the next search, so what is lent out is closed for good
only where something still runs in it: then closing is how it is stopped.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Generic, TypeVar

from evolver.core import Brief, Candidate, Execution, Job, Progress, Proposer, Sandbox, Unusable
from evolver.errors import BudgetSpent, SandboxUnavailable

T = TypeVar("T")


class Owner(Generic[T]):
    """Makes one thing when it is first needed, and again after it had to be closed."""

    def __init__(self, make: Callable[[], T], close: Callable[[T], None]) -> None:
        self._make = make
        self._close = close
        self._lock = threading.Lock()
        self._made: list[T] = []
        self._busy = 0

    @contextmanager
    def using(self) -> Iterator[T]:
        """The thing, for as long as something runs in it."""
        with self._lock:
            if not self._made:
                self._made.append(self._make())
            found = self._made[0]
            self._busy += 1
        try:
            yield found
        finally:
            with self._lock:
                self._busy -= 1

    def stop(self) -> None:
        """Close it if something runs in it."""
        with self._lock:
            busy = self._busy > 0
        if busy:
            self.end()

    def end(self) -> None:
        """Close it, whatever it does."""
        with self._lock:
            gone, self._made = self._made, []
        for thing in gone:
            self._close(thing)


class LentSandbox:
    """A `Sandbox` for one sitting."""

    def __init__(self, owner: Owner[Sandbox], name: str) -> None:
        self.name = name
        self._owner = owner
        self._closed = False

    def run(self, job: Job, watch: Callable[[Progress], bool] | None = None) -> Execution:
        """Train and query one candidate. See `evolver.core.Sandbox`."""
        if self._closed:
            raise SandboxUnavailable("the sandbox is closed")
        with self._owner.using() as sandbox:
            return sandbox.run(job, watch)

    def close(self) -> None:
        self._closed = True
        self._owner.stop()


class LentProposer:
    """A `Proposer` for one sitting of a run that has `total` candidates in all its sittings."""

    def __init__(self, owner: Owner[Proposer], name: str, total: int) -> None:
        self.name = name
        self._owner = owner
        self._total = total
        self._closed = False

    def propose(self, brief: Brief) -> Candidate | Unusable:
        """What the lent proposer proposes; it sees the whole run's budget, not the sitting's."""
        if self._closed:
            raise BudgetSpent("the sitting is over")
        with self._owner.using() as proposer:
            return proposer.propose(replace(brief, candidates_left=self._total - brief.number))

    def close(self) -> None:
        self._closed = True
        self._owner.stop()
