"""What is known about a candidate when it is exported: plain values for its model card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Rival = Literal["tuned baseline", "baseline", "earlier challenger"]
"""What a module is compared with: a baseline, tuned with the same budget or not, or what had been
promoted before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One figure with its 95% interval, where one was computed."""

    metric: str
    value: float
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{self.value:.4f}"
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The module beside its rival on one part of the data, metric by metric.

    `difference` is module minus rival, from paired users. `part` is "search", "promotion" or
    "test"; `note` says what a reader must know, such as how often the part had been read.
    """

    part: str
    users: int
    module: tuple[Measured, ...]
    rival: tuple[Measured, ...] = ()
    difference: tuple[Measured, ...] = ()
    note: str = ""

    def rows(self) -> list[tuple[str, str, str, str]]:
        """(metric, module, rival, difference) as text, in the module's order."""
        rival = {m.metric: str(m) for m in self.rival}
        difference = {m.metric: f"{m.value:+.4f}" + str(m)[6:] for m in self.difference}
        return [
            (m.metric, str(m), rival.get(m.metric, "-"), difference.get(m.metric, "-"))
            for m in self.module
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ancestor:
    """The module or one that it descends from: how it was made, and who wrote it. `writer` is a
    language model, or a person or an agent as they call themselves; empty where neither did.
    `prompt` is the hash of the request that it answers."""

    number: int
    id: str
    operator: str
    proposer: str
    writer: str = ""
    prompt: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """An agent of a pipeline. own: its inner reward on the test part. credit, lost: its share of
    the pipeline's reward (Shapley), and what is lost without it; None where nobody measured."""

    name: str
    stage: str
    family: str
    own: Measured | None = None
    credit: float | None = None
    lost: float | None = None

    def cells(self) -> tuple[str, str, str]:
        """own, credit and lost as text."""
        credit, lost = ("-" if n is None else f"{n:+.4f}" for n in (self.credit, self.lost))
        return "-" if self.own is None else str(self.own), credit, lost


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """Everything that the model card states beyond what the package itself shows.

    data: for example name, users, items, interactions. split: kind, seed, cutoffs. evidence and
    limits: one sentence each. created: a date, given by the caller so that exporting is a pure
    function. latency: milliseconds for one user, measured in the sandbox.
    """

    data_name: str
    data_fingerprint: str
    split_kind: str
    split_fingerprint: str
    created: str
    evolver_version: str
    data: Mapping[str, str] = field(default_factory=dict)
    split: Mapping[str, str] = field(default_factory=dict)
    trained_on: str = "everything"
    rival_name: str = ""
    rival: Rival = "tuned baseline"
    comparisons: tuple[Comparison, ...] = ()
    evidence: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    run: str = ""
    lineage: tuple[Ancestor, ...] = ()
    """The module first, then what it descends from, youngest first."""
    agents: tuple[Serving, ...] = ()
    """Of a pipeline, from recall to re-ranking."""
    seeds: tuple[int, ...] = ()
    fit_seconds: float | None = None
    latency_ms_p50: float | None = None
    latency_ms_p99: float | None = None
    peak_bytes: int | None = None
    parameters: int | None = None
    measured_on: str = ""
    licence: str = ""

    @property
    def writers(self) -> list[str]:
        """Who wrote the module and its ancestors, each once."""
        return list(dict.fromkeys(each.writer for each in self.lineage if each.writer))
