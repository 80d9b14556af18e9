"""Sorting and filtering of what was tried, for `review` and its like."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from evolver.core import Entry, Failed, Scored, Stopped
from evolver.errors import UsageError
from evolver.report.data import ReportData

Sort = Literal["score", "number", "fit", "latency", "parameters"]
SORTS: tuple[str, ...] = get_args(Sort)
State = Literal["scored", "failed", "stopped", "all"]
STATES: tuple[str, ...] = get_args(State)

_KEYS: dict[str, Callable[[Scored], float]] = {
    "fit": lambda scored: scored.fit_seconds,
    "latency": lambda scored: scored.latency_ms_p50,
    "parameters": lambda scored: scored.parameters,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """Which candidates are listed, and in which order.

    sort: one of `SORTS` or a metric's name. Costs sort from low to high, metrics from high to low;
    what has no score comes last. family and proposer keep what contains the text; reviewed keeps
    what anybody spoke of.
    """

    sort: str = "score"
    family: str = ""
    proposer: str = ""
    reviewed: bool = False
    baselines: bool = True
    state: str = "scored"

    def apply(self, data: ReportData) -> list[Entry]:
        """The entries in order. Raises UsageError on an unknown order or state."""
        entries = [entry for entry in self._in_state(data) if self._keeps(data, entry)]
        if self.sort == "number":
            return sorted(entries, key=lambda entry: entry.number)
        return sorted(entries, key=self._key(data))

    def metric(self, data: ReportData) -> str:
        """The metric that entries are sorted by, where it is not the run's own; else nothing."""
        return "" if self.sort in (*SORTS, data.metric) else self.sort

    def _in_state(self, data: ReportData) -> list[Entry]:
        by_state = {"scored": data.ranked, "failed": data.failed, "stopped": data.stopped}
        if self.state == "all":
            return [*data.ranked, *data.stopped, *data.failed]
        if self.state not in by_state:
            raise UsageError(f"no state {self.state!r}; one of {', '.join(STATES)}")
        return by_state[self.state]

    def _key(self, data: ReportData) -> Callable[[Entry], float]:
        """What `sorted` sorts by: the lower, the earlier."""
        of = _KEYS.get(self.sort)
        name = data.metric if self.sort == "score" else self.sort
        known = {
            n for e in data.ranked if isinstance(e.evaluation, Scored) for n in e.evaluation.metrics
        }
        if of is None and name != data.metric and name not in known:
            metrics = ", ".join(sorted(n for n in known if "[" not in n)) or "none yet"
            raise UsageError(
                f"cannot sort by {self.sort!r}; one of {', '.join(SORTS)}, or a metric: {metrics}"
            )

        def key(entry: Entry) -> float:
            found = entry.evaluation
            if not isinstance(found, Scored):
                return math.inf
            return of(found) if of is not None else -found.metrics.get(name, -math.inf)

        return key

    def _keeps(self, data: ReportData, entry: Entry) -> bool:
        candidate = entry.candidate
        spoken = entry.number in data.standing or entry.number in data.comments
        return (
            self.family.lower() in candidate.family.lower()
            and self.proposer.lower() in candidate.proposer.lower()
            and (spoken or not self.reviewed)
            and (self.baselines or entry.number not in data.baselines)
        )


def find(data: ReportData, wanted: str) -> Entry:
    """The entry that a person means by "best", "baseline", 12, #12 or an id's beginning.

    Raises UsageError where there is none, or where a beginning fits several candidates.
    """
    if wanted in ("best", "baseline"):
        entry = data.best if wanted == "best" else data.best_baseline
        if entry is None:
            raise UsageError(f"this run has no {wanted} yet: nothing is scored")
        return entry
    text = wanted.removeprefix("#")
    if text.isascii() and text.isdigit() and int(text) in data.by_number:
        return data.by_number[int(text)]
    matches = [e for e in data.by_number.values() if len(text) >= 4]
    matches = [e for e in matches if e.candidate.id.startswith(text.lower())]
    if not matches:
        raise UsageError(f"this run has no candidate {wanted!r}; give its number or id")
    if len({e.candidate.id for e in matches}) > 1:
        raise UsageError(f"{wanted!r} begins several ids; give more of it, or a number")
    return matches[0]


def as_rows(data: ReportData, entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Entries as plain JSON values, with their rank, interval and reviews."""
    ranks = {entry.number: rank for rank, entry in enumerate(data.ranked, 1)}
    rows: list[dict[str, Any]] = []
    for entry in entries:
        candidate = entry.candidate
        row: dict[str, Any] = {
            "number": entry.number,
            "id": candidate.id,
            "name": candidate.name,
            "family": candidate.family,
            "proposer": candidate.proposer,
            "parents": list(candidate.parents),
            "rank": ranks.get(entry.number),
            "baseline": entry.number in data.baselines,
            "standing": data.standing.get(entry.number, ""),
            "comments": list(data.comments.get(entry.number, ())),
            "place": data.places.get(entry.number, ""),
        }
        if isinstance(entry.evaluation, Failed):
            row |= {"failed": entry.evaluation.kind, "reason": entry.evaluation.reason}
        elif isinstance(entry.evaluation, Stopped):
            row |= {"stopped": entry.evaluation.fidelity, "reason": entry.evaluation.reason}
        else:
            row["metrics"] = dict(entry.evaluation.metrics)
            row["interval"] = data.intervals.get(entry.number)
            row["fit_seconds"] = entry.evaluation.fit_seconds
            row["latency_ms_p50"] = entry.evaluation.latency_ms_p50
        rows.append(row)
    return rows
