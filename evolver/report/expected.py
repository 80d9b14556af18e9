"""What the author of a candidate expected of it, beside what came of it."""

from __future__ import annotations

from collections import Counter

from evolver.core import Entry, Failed, Stopped
from evolver.report.data import ReportData
from evolver.text import one_line


def came_of(data: ReportData, entry: Entry) -> str:
    """The gain over its best parent in words, or how it ended without a score."""
    if isinstance(entry.evaluation, Failed):
        return f"failed ({entry.evaluation.kind})"
    score = entry.score(data.metric)
    if isinstance(entry.evaluation, Stopped) or score is None:
        return "stopped before a whole training"
    wanted = set(entry.candidate.parents)
    parents = [
        (value, other.number)
        for other in data.by_number.values()
        if other.candidate.id in wanted and (value := other.score(data.metric)) is not None
    ]
    if not parents:
        return f"{data.metric} {score:.4f}"
    value, number = max(parents, key=lambda known: (known[0], -known[1]))
    return f"{score - value:+.4f} over #{number}"


def expectations(data: ReportData) -> list[tuple[Entry, str]]:
    """Every candidate whose author said what to expect, in order, with what came of it."""
    return [
        (entry, came_of(data, entry)) for entry in data.by_number.values() if entry.candidate.expect
    ]


def authors(data: ReportData) -> list[str]:
    """Who wrote candidates, most first: models, or people and agents as they call themselves."""
    wrote = Counter(
        entry.candidate.author or entry.candidate.model for entry in data.by_number.values()
    )
    del wrote[""]
    return [f"{one_line(name, 60)} ({count})" for name, count in wrote.most_common()]
