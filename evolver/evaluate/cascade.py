"""The rungs that a candidate climbs, each dearer than the one before, each with its reason.

contract: what its text says (`evolver.evaluate.check`). smoke: does it run, on a sliver? low: is it
worth a whole training, on less data? full: what counts. Scores are compared at one fidelity only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from evolver.core import Candidate, Entry, Evaluation, Failed, Fidelity, Progress, Stopped
from evolver.evaluate.halving import MedianRule, bar

Watch = Callable[[Progress], bool]


def proven(candidate: Candidate, history: Sequence[Entry]) -> bool:
    """Whether this program ran to its end before, with whatever settings."""
    return any(
        entry.candidate.source == candidate.source and not isinstance(entry.evaluation, Failed)
        for entry in history
    )


def watch(fidelity: Fidelity, curves: Sequence[Sequence[Progress]] = ()) -> Watch | None:
    """What looks at the reports of a training on this rung and may end it. curves: what earlier
    trials of the same program reported on it, if they may be compared. A smoke run goes to its own
    end: what follows the last report, such as keeping the best weights, is to be tried too."""
    return MedianRule(curves) if curves and fidelity != "smoke" else None


def said(evaluation: Evaluation, fidelity: Fidelity, watching: Watch | None) -> Evaluation:
    """The evaluation as the archive is told: a failure says on which rung; what was stopped while
    it trained has no score, whatever it then ranked: how far it came is up to the clock."""
    if isinstance(watching, MedianRule) and watching.reason:
        return Stopped(fidelity=fidelity, reason=watching.reason)
    if isinstance(evaluation, Failed) and fidelity != "full":
        where = {"smoke": "in the smoke run on a sliver", "low": "at low fidelity"}[fidelity]
        return replace(evaluation, reason=f"{where}: {evaluation.reason}")
    return evaluation


def decided(evaluation: Evaluation, earlier: Sequence[float], eta: int, metric: str) -> Evaluation:
    """At low fidelity: what it scored, or `Stopped` where that is not worth a whole training.

    earlier: the low-fidelity scores on which the decision may depend. What was recalled from the
    same program is decided anew.
    """
    scored = evaluation.scored if isinstance(evaluation, Stopped) else evaluation
    if scored is None or isinstance(scored, Failed):
        return evaluation
    value = scored.metrics[metric]
    wanted = bar(earlier, eta)
    if wanted is not None and value < wanted:
        reason = (
            f"stopped at low fidelity with {metric} {value:.4f}; {wanted:.4f} was needed to be "
            f"among the best 1/{eta} of {len(earlier) + 1}"
        )
        return Stopped(fidelity="low", reason=reason, scored=scored)
    return scored
