"""Who goes on: from the cheap judging to the whole one, and from one step of training to the next.

Both rules are pure functions of what is recorded, so that a resumed run decides as before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import mean, median

from evolver.core import Progress


def bar(earlier: Sequence[float], eta: int) -> float | None:
    """The score that the next candidate must reach at this fidelity; None where it goes on anyway.

    Asynchronous successive halving (ASHA; Li et al., MLSys 2020), deciding once for each candidate
    as it comes: it goes on if it is among the best 1/eta of those before it and itself, rounded up,
    so the first ones do. Equals go on.
    """
    places = math.ceil((len(earlier) + 1) / eta)
    return None if places > len(earlier) else sorted(earlier, reverse=True)[places - 1]


@dataclass(slots=True)
class MedianRule:
    """Stops a trial that trains worse than earlier trials of the same program did (the median
    stopping rule; Golovin et al., KDD 2017). Use it as the `watch` of one training.

    curves: what earlier trials of the same source reported; losses of different programs cannot be
    compared. A trial is stopped at step s if its lowest loss so far is above the median of the mean
    losses of the others up to s. Not before `grace` of the steps that the others took, nor where
    fewer than `least` others have been there.
    """

    curves: Sequence[Sequence[Progress]]
    grace: float = 1 / 3
    least: int = 3
    reason: str = ""
    """Why it was stopped; empty while it was not."""
    _lowest: float = field(default=math.inf, init=False)

    def __call__(self, report: Progress) -> bool:
        """Whether to go on after this report."""
        if self.reason:
            return False
        if report.loss is not None:
            self._lowest = min(self._lowest, report.loss)
        others = [self._mean(curve, report.step) for curve in self.curves]
        known = [value for value in others if value is not None]
        if len(known) < self.least or report.step < self.grace * self._usual():
            return True
        if math.isfinite(self._lowest) and self._lowest > median(known):
            self.reason = (
                f"stopped at step {report.step}: its lowest loss was {self._lowest:.4g}, "
                f"{len(known)} earlier trials of this program had {median(known):.4g} (median of "
                "their means up to there)"
            )
        return not self.reason

    def _usual(self) -> float:
        return median(max(r.step for r in curve) for curve in self.curves if curve)

    @staticmethod
    def _mean(curve: Sequence[Progress], step: int) -> float | None:
        losses = [r.loss for r in curve if r.step <= step and r.loss is not None]
        there = any(r.step >= step for r in curve)
        return mean(losses) if losses and there else None
