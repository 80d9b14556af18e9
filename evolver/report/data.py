"""What a report is made of: plain values that the caller fills from the archive."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from evolver.ablations import Contribution
from evolver.core import Entry, Failed, Scored, Stopped
from evolver.evaluate.diagnostics import Duel
from evolver.floor import Floor
from evolver.report.shares import Shares
from evolver.standing import Standing
from evolver.trials import Tuned


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number with its 95% interval, where one was computed."""

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def interval(self) -> str:
        """The interval as text, or nothing."""
        if self.low is None or self.high is None:
            return ""
        return f"[{self.low:.4f}, {self.high:.4f}]"

    def __str__(self) -> str:
        return f"{self.value:.4f} {self.interval}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """The winner beside the best tuned baseline on one part of the data, on the run's metric.

    `difference` is winner minus baseline from paired users. `forced` says that a sealed part was
    read again; the report shows it.
    """

    part: str
    users: int
    winner: Figure
    baseline: Figure | None = None
    difference: Figure | None = None
    readings: int = 1
    forced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """A group of users ("history 1 to 5", "unseen") and how winner and baseline do on it."""

    name: str
    winner: float
    baseline: float | None = None
    users: int | None = None
    low: float | None = None
    high: float | None = None
    """95% interval of winner less baseline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """What one leak canary said. `where`: "data", or the candidate that it is about."""

    name: str
    where: str
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PartReading:
    """One reading of a held-out part, as the archive has it."""

    part: str
    numbers: Sequence[int]
    who: str
    when: str
    why: str
    forced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What the run used. usd: None where nothing was priced; unpriced requests are counted."""

    wall_seconds: float = 0.0
    sandbox_seconds: float = 0.0
    usd: float | None = None
    unpriced_requests: int = 0
    requests: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    budget: Mapping[str, str] = field(default_factory=dict)
    """Limits as text, for example {"candidates": "30", "time": "10 min"}."""


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """One run, read from its archive.

    entries: what is known on the search part, any order. baselines: numbers of the entries that
    tuned baselines. winner and baseline: numbers of the best candidate and of the best tuned
    baseline. intervals: 95% intervals of the metric by number, for as many entries as there are.
    noise: how far the metric moves between seeds of one program. repeat: commands that run this
    again. warnings: what a reader must know before believing anything else.
    """

    run: str
    metric: str
    created: str
    evolver_version: str
    entries: Sequence[Entry]
    ids: Mapping[int, str] = field(default_factory=dict)
    """Ids of the entries by number, where they are known without looking at the source."""
    baselines: frozenset[int] = frozenset()
    winner: int | None = None
    baseline: int | None = None
    challenger: int | None = None
    """The best candidate that is no baseline; the winner, unless a baseline won."""
    intervals: Mapping[int, tuple[float, float]] = field(default_factory=dict)
    contests: Sequence[Contest] = ()
    slices: Sequence[Slice] = ()
    duels: Sequence[Duel] = ()
    """The winner against parent, baseline and best, user by user on the search part."""
    breadth: Mapping[str, tuple[float, float | None]] = field(default_factory=dict)
    """Coverage, popularity share and the like of the winner and of the baseline."""
    contributions: Sequence[Contribution] = ()
    """What each declared part of the winner brings."""
    observed: Mapping[str, float] = field(default_factory=dict)
    """What the winner says of itself. Untrusted."""
    noise: float | None = None
    floor: Floor | None = None
    gate: Standing | None = None
    """Verdicts, incumbent, who waits; None where a report is made without an archive."""
    canaries: Sequence[Canary] = ()
    readings: Sequence[PartReading] = ()
    agents: Sequence[str] = ()
    """For runs of pipelines, a line each: the best pipeline beside the start and the single best
    retriever, the credit of its agents, and the verdicts on them."""
    pipeline: Shares | None = None
    """For runs of pipelines: the best one with what each agent takes and earns."""
    trials: Sequence[Tuned] = ()
    """How often the best programs of either side were tried, and what that added."""
    cost: Cost = Cost()
    data: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    repeat: Sequence[str] = ()
    warnings: Sequence[str] = ()
    standing: Mapping[int, str] = field(default_factory=dict)
    """What reviewers decided, by number, in words: "approved, pinned"."""
    comments: Mapping[int, Sequence[str]] = field(default_factory=dict)
    places: Mapping[int, str] = field(default_factory=dict)
    """Island, cell of the map of kinds, and whether it is on the Pareto front, in words."""

    @cached_property
    def by_number(self) -> dict[int, Entry]:
        """Every entry by its number."""
        return {entry.number: entry for entry in sorted(self.entries, key=lambda e: e.number)}

    @cached_property
    def by_id(self) -> dict[str, Entry]:
        """The earliest entry of each id."""
        youngest = reversed(self.by_number.items())
        return {self.ids.get(n) or entry.candidate.id: entry for n, entry in youngest}

    @cached_property
    def ranked(self) -> list[Entry]:
        """Scored entries, best first; of equal scores the earlier one."""
        scored = [e for e in self.by_number.values() if isinstance(e.evaluation, Scored)]
        return sorted(scored, key=lambda e: -(e.score(self.metric) or 0.0))

    @cached_property
    def leaders(self) -> list[int]:
        """Numbers of those that were the best so far when they came, in order."""
        found: list[int] = []
        best = -math.inf
        for number, entry in self.by_number.items():
            score = entry.score(self.metric)
            if score is not None and score > best:
                best = score
                found.append(number)
        return found

    @cached_property
    def failed(self) -> list[Entry]:
        """Entries that failed, in order."""
        return [e for e in self.by_number.values() if isinstance(e.evaluation, Failed)]

    @cached_property
    def stopped(self) -> list[Entry]:
        """Entries that were sound but not worth a whole training, in order."""
        return [e for e in self.by_number.values() if isinstance(e.evaluation, Stopped)]

    @property
    def best(self) -> Entry | None:
        """The winner's entry."""
        return None if self.winner is None else self.by_number.get(self.winner)

    @property
    def best_baseline(self) -> Entry | None:
        """The best tuned baseline's entry."""
        return None if self.baseline is None else self.by_number.get(self.baseline)

    def figure(self, number: int) -> Figure:
        """A scored entry's metric with its interval. Raises ValueError where it failed."""
        score = self.by_number[number].score(self.metric)
        if score is None:
            raise ValueError(f"candidate {number} has no score")
        low, high = self.intervals.get(number, (None, None))
        return Figure(value=score, low=low, high=high)

    def lineage(self, number: int) -> list[Entry]:
        """The entry and its first parents, youngest first. Ends at one that is not in the run."""
        chain: list[Entry] = []
        entry = self.by_number.get(number)
        while entry is not None and entry not in chain:
            chain.append(entry)
            parents = entry.candidate.parents
            entry = self.by_id.get(parents[0]) if parents else None
        return chain

    def parent(self, number: int) -> Entry | None:
        """The first parent's entry, if it is in the run."""
        chain = self.lineage(number)
        return chain[1] if len(chain) > 1 else None
