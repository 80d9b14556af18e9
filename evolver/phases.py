"""What each numbered slot of a run is for: baselines first, then the search, then its survivors.

The phases are fixed in the plan. Only a time limit cuts them short: each gets its share of the time
and no more. A run that is resumed with more candidates searches again, and tunes again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from evolver.archive.store import Archive
from evolver.propose import baselines, survivors
from evolver.run import Plan

Phase = Literal["baselines", "search", "tuning"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Search from `start`, tuning of survivors from `tuning`, up to `end` and without it."""

    start: int
    tuning: int
    end: int


def stretches(plan: Plan, totals: Sequence[int]) -> list[Stretch]:
    """The planned stretch, then one for each time that the number of candidates was raised.

    totals: the number of candidates that each sitting was allowed, in order. Half of what is added
    tunes, as far as survivors lack trials, if the plan tunes at all.
    """
    end = plan.candidates or max([plan.baseline_slots, *totals])
    found = [Stretch(start=plan.baseline_slots, tuning=end - plan.tuning_slots, end=end)]
    for total in totals:
        if total > end:
            tuned = (total - end) // 2 if plan.tuning_slots else 0
            found.append(Stretch(start=end, tuning=total - tuned, end=total))
            end = total
    return found


class Phases:
    """Asked for one number after the other, by one thread.

    totals: as `stretches` takes them. limit: of the run's time in seconds, if there is one; used:
    how much of it is gone; reserve: how much of it is kept for what comes after the search.
    """

    def __init__(
        self,
        plan: Plan,
        archive: Archive,
        totals: Sequence[int],
        *,
        baseline_share: float,
        limit: float | None,
        used: Callable[[], float],
        reserve: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._plan = plan
        self._archive = archive
        self._stretches = stretches(plan, totals)
        self._baseline_share = baseline_share
        self._limit = limit
        self._used = used
        self._reserve = reserve
        self._searching = False
        self._tuning: dict[int, int] = {}  # by the stretch's end: where its tuning began

    def of(self, number: int) -> Phase:
        """What this number is for. A phase that has begun stays, whatever the clock says later."""
        if self._tunes_baseline(number):
            return "baselines"
        self._searching = True
        return "search" if self.tuning(number) is None else "tuning"

    def tuning(self, number: int) -> tuple[int, int] | None:
        """Where the tuning that this number belongs to began, and where it ends."""
        stretch = next((s for s in self._stretches if number < s.end), self._stretches[-1])
        begun = self._tuning.get(stretch.end)
        begun = self._recorded(stretch) if begun is None else begun
        if begun is None and (number >= stretch.tuning or self._late_to_tune(stretch)):
            begun = min(number, stretch.tuning)
        if begun is None or number < begun:
            return None
        self._tuning[stretch.end] = begun
        return begun, stretch.end

    def _recorded(self, stretch: Stretch) -> int | None:
        """Where an earlier sitting began to tune."""
        for number in range(stretch.start, stretch.end):
            candidate = self._archive.candidate(number)
            if candidate is not None and candidate.proposer == survivors.PROPOSER:
                return min(number, stretch.tuning)
        return None

    def _tunes_baseline(self, number: int) -> bool:
        """Baselines come first; under a time limit they get their share of it and no more."""
        if self._searching or number >= self._plan.baseline_slots:
            return False
        before = (self._archive.candidate(n) for n in range(number))
        begun = any(c is not None and c.proposer != baselines.PROPOSER for c in before)
        return not begun and not self._late(self._baseline_share)

    def _late_to_tune(self, stretch: Stretch) -> bool:
        return stretch.tuning < stretch.end and self._late(stretch.tuning / stretch.end)

    def _late(self, share: float) -> bool:
        if self._limit is None:
            return False
        return self._used() > (self._limit - self._reserve()) * share
