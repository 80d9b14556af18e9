"""For whom a candidate is good: slices of users and duels user by user, from what was recorded."""

from __future__ import annotations

from dataclasses import replace

from evolver.ablations import contributions
from evolver.archive.findings import OBSERVABLES
from evolver.bench import CANARIES
from evolver.core import Entry, Scored
from evolver.evaluate.diagnostics import Diagnostics, diagnose
from evolver.report.data import ReportData
from evolver.run import Run

NO_CALIBRATION = (
    "Calibration is not shown: candidates hand back lists, and a list states no probabilities."
)
_CALIBRATION = ("log_loss", "brier", "calibration_error")


def calibration(entry: Entry | None) -> str:
    """How far the probabilities of a candidate can be believed, in one line; why nothing is said of
    it where it states none."""
    found = None if entry is None else entry.evaluation
    if not isinstance(found, Scored) or "calibration_error" not in found.metrics:
        return NO_CALIBRATION
    told = ", ".join(f"{name} {found.metrics[name]:.4f}" for name in _CALIBRATION)
    return f"Calibration on the search part: {told}."


def diagnosis(run: Run, data: ReportData, number: int) -> Diagnostics | None:
    """A candidate on the slices of the search part, against its parent, the best tuned baseline and
    the best of all, where these are others. None where it has no score.

    Means over at least 20 users only. Raises KeyError for an unknown number.
    """
    entry = data.by_number[number]
    scored = _whole(run, entry)
    if scored is None:
        return None
    named = {"parent": data.parent(number), "baseline": data.best_baseline, "best": _best(data)}
    rivals: dict[int, tuple[str, Scored]] = {}
    for name, rival in named.items():
        found = None if rival is None or rival.number == number else _whole(run, rival)
        if rival is not None and found is not None:
            rivals.setdefault(rival.number, (name, found))
    return diagnose(scored, run.slices, run.metric, tuple(rivals.values()))


def _best(data: ReportData) -> Entry | None:
    return data.ranked[0] if data.ranked else None


def _whole(run: Run, entry: Entry) -> Scored | None:
    """The evaluation on the search part with its per-user values."""
    if not isinstance(entry.evaluation, Scored):
        return None
    users = run.archive.per_user(entry.number, "search", run.seed)
    return replace(entry.evaluation, per_user=users) if run.metric in users else None


def notes(run: Run, data: ReportData, number: int) -> list[str]:
    """What else is recorded of a candidate: verdicts, canaries, parts, what it says of itself."""
    entry = data.by_number[number]
    judged = () if data.gate is None else data.gate.judged
    lines = [each.paragraph for each in judged if each.number == number]
    found = run.archive.findings.of(number)
    for finding in found:
        if finding.about == CANARIES:
            said = [f"{alarm['canary']}: {alarm['detail']}" for alarm in finding.data["alarms"]]
            lines += [f"canary, {line}" for line in said] or ["canaries in its results: silent"]
    lines += [f"part {each}" for each in contributions(run, entry)]
    observed = [finding.data for finding in found if finding.about == OBSERVABLES]
    if observed:
        shown = ", ".join(f"{name} {value:.4g}" for name, value in observed[-1].items())
        lines.append(f"it observed of itself: {shown}")
    return lines
