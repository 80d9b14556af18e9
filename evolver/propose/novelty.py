"""Is a proposal news? Asked before anything is trained."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from evolver.core import Brief, Candidate, Entry
from evolver.propose.language import PYTHON

Pieces = frozenset[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class _Known:
    """A program that is there already, judged or not."""

    number: int
    candidate: Candidate


class Novelty:
    """Compares a proposal with what is recorded and with what is in flight. Safe in threads.

    digest: equal for programs that differ in format and names only. pieces: what a program is
    made of, empty where it cannot be told. whole: a candidate's source with its values in it, which
    both are told of. From a Jaccard index of `threshold` on, two are alike; 1
    leaves only equal ones. proposed: all candidates so far by number, those in flight included;
    None to compare with the brief alone. What is in flight depends on when replies come: it decides
    whether a repetition is sent back, and nothing else.
    """

    def __init__(
        self,
        digest: Callable[[str], str | None] | None,
        pieces: Callable[[str], Pieces] | None,
        threshold: float,
        proposed: Callable[[], Mapping[int, Candidate]] | None = None,
        whole: Callable[[Candidate], str] = PYTHON.whole,
    ) -> None:
        self._digest = digest
        self._pieces = pieces
        self._threshold = threshold
        self._whole = whole
        self._proposed = proposed
        self._lock = threading.Lock()
        self._passed: dict[int, Candidate] = {}
        self._digests: dict[str, str | None] = {}
        self._made_of: dict[str, Pieces] = {}

    def fault(self, made: Candidate, parent: Entry | None, brief: Brief) -> str | None:
        """Why `made` is no news, for its author; None where it is, and others are compared with it
        from then on.

        A draft is compared whole. A child is like its parent by intent, so what is compared is the
        change: what it adds to its first parent and takes away, with what would make any other
        program of that parent.
        """
        with self._lock:
            known = self._known(brief)
            twin = self._twin(made.source, known)
            if twin is not None:
                return (
                    f"this is candidate #{twin.number} again, but for format and names; "
                    "change what it computes"
                )
            told = self._likeness(made.source, parent, known)
            if told is None and self._proposed is not None:
                self._passed[brief.number] = made
            return told

    def _known(self, brief: Brief) -> list[_Known]:
        """All programs but what was proposed under the brief's own number, in order."""
        found = {entry.number: entry.candidate for entry in brief.history}
        if self._proposed is not None:
            found |= {**self._passed, **self._proposed()}
        found.pop(brief.number, None)
        return [_Known(number, found[number]) for number in sorted(found)]

    def _likeness(self, source: str, parent: Entry | None, known: Iterable[_Known]) -> str | None:
        if self._pieces is None or self._threshold >= 1:
            return None
        own = self._pieces(source)
        if not own:
            return None
        if parent is None:
            base: Pieces = frozenset()
            told = "is {index:.0%} the same as candidate #{number}{idea}; write something else"
        else:
            base = self._of(parent.candidate)
            known = [k for k in known if k.candidate.source != parent.candidate.source]
            told = (
                "makes {index:.0%} of the change that leads from its parent to candidate "
                "#{number}{idea}, which is there already; change something else"
            )
        near, index = self._nearest(own, base, known)
        if near is None or index < self._threshold:
            return None
        idea = f" ({near.candidate.idea[:120]})" if near.candidate.idea else ""
        return "this " + told.format(index=index, number=near.number, idea=idea)

    def _nearest(
        self, own: Pieces, base: Pieces, others: Iterable[_Known]
    ) -> tuple[_Known | None, float]:
        """The program most like `own` after `base` is taken off both, and how alike they are."""
        change = own ^ base
        best: tuple[_Known | None, float] = (None, 0.0)
        for other in others:
            pieces = self._of(other.candidate)
            theirs = pieces ^ base
            if not pieces or not theirs:
                continue
            index = len(change & theirs) / len(change | theirs)
            if index > best[1]:
                best = other, index
        return best

    def _twin(self, source: str, known: Iterable[_Known]) -> _Known | None:
        """The first program that, at its tuned values, is the same as `source`."""
        wanted = self._digest(source) if self._digest else None
        if self._digest is None or wanted is None:
            return None
        for other in known:
            key = other.candidate.id
            if key not in self._digests:
                tuned = self._tuned(other.candidate)
                self._digests[key] = self._digest(tuned) if tuned else None
            if self._digests[key] == wanted:
                return other
        return None

    def _of(self, candidate: Candidate) -> Pieces:
        key = candidate.id
        if key not in self._made_of:
            tuned = self._tuned(candidate)
            found = self._pieces(tuned) if tuned and self._pieces else frozenset()
            self._made_of[key] = found
        return self._made_of[key]

    def _tuned(self, candidate: Candidate) -> str:
        """Empty for what never became a program."""
        return self._whole(candidate) if candidate.source else ""
