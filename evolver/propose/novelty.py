"""Is a proposal news? Asked before anything is trained."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from evolver.core import Entry
from evolver.propose.source import with_defaults

Pieces = frozenset[tuple[str, ...]]


class Novelty:
    """Compares a source with what is recorded. Safe in threads; each program is read once.

    digest: equal for programs that differ in format and names only. pieces: what a program is
    made of, empty where it cannot be told. From a Jaccard index of `threshold` on, two are alike; 1
    leaves only equal ones.
    """

    def __init__(
        self,
        digest: Callable[[str], str | None] | None,
        pieces: Callable[[str], Pieces] | None,
        threshold: float,
    ) -> None:
        self._digest = digest
        self._pieces = pieces
        self._threshold = threshold
        self._lock = threading.Lock()
        self._digests: dict[str, str | None] = {}
        self._made_of: dict[str, Pieces] = {}

    def fault(self, source: str, parent: Entry | None, history: Sequence[Entry]) -> str | None:
        """Why `source` is no news, for its author; None where it is.

        A draft is compared whole. A child is like its parent by intent, so what is compared is the
        change: what it adds to its first parent and takes away, with what its siblings did.
        """
        twin = self._twin(source, history)
        if twin is not None:
            return (
                f"this is candidate #{twin.number} again, but for format and names; "
                "change what it computes"
            )
        if self._pieces is None or self._threshold >= 1:
            return None
        own = self._pieces(source)
        if not own:
            return None
        if parent is None:
            near, index = self._nearest(own, frozenset(), history)
            told = "is {index:.0%} the same as candidate #{number}{idea}; write something else"
        else:
            ids = {e.candidate.id for e in history if e.candidate.source == parent.candidate.source}
            siblings = [
                e
                for e in history
                if e.candidate.parents[:1] and e.candidate.parents[0] in ids | {parent.candidate.id}
                if e.candidate.id not in ids
            ]
            near, index = self._nearest(own, self._of(parent), siblings)
            told = (
                "makes {index:.0%} the same change to its parent as candidate #{number}{idea}, "
                "which was tried already; change something else"
            )
        if near is None or index < self._threshold:
            return None
        idea = f" ({near.candidate.idea[:120]})" if near.candidate.idea else ""
        return "this " + told.format(index=index, number=near.number, idea=idea)

    def _nearest(
        self, own: Pieces, base: Pieces, others: Sequence[Entry]
    ) -> tuple[Entry | None, float]:
        """The entry most like `own` after `base` is taken off both, and how alike they are."""
        change = own ^ base
        best: tuple[Entry | None, float] = (None, 0.0)
        for entry in others:
            theirs = self._of(entry) ^ base
            if not self._of(entry) or not theirs:
                continue
            index = len(change & theirs) / len(change | theirs)
            if index > best[1]:
                best = entry, index
        return best

    def _twin(self, source: str, history: Sequence[Entry]) -> Entry | None:
        """The first entry whose program, at its tuned values, is the same as `source`."""
        wanted = self._digest(source) if self._digest else None
        if self._digest is None or wanted is None:
            return None
        for entry in history:
            key = entry.candidate.id
            with self._lock:
                known = key in self._digests
            if not known:
                tuned = with_defaults(entry.candidate.source, entry.candidate.values)
                found = self._digest(tuned) if tuned else None
                with self._lock:
                    self._digests[key] = found
            if self._digests[key] == wanted:
                return entry
        return None

    def _of(self, entry: Entry) -> Pieces:
        key = entry.candidate.id
        with self._lock:
            known = self._made_of.get(key)
        if known is None:
            tuned = with_defaults(entry.candidate.source, entry.candidate.values)
            known = self._pieces(tuned) if tuned and self._pieces else frozenset()
            with self._lock:
                self._made_of[key] = known
        return known
