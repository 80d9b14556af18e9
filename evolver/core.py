"""The values that parts hand to each other, and the protocols they meet. Imports no sibling.

Records are frozen. A candidate's failure is a `Failed`, which has no metrics; a fault of ours is
an exception from `evolver.errors`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Value = int | float | str | bool
"""One chosen setting of a typed space."""

FailureKind = Literal["contract", "crash", "timeout", "memory", "invalid_output"]
"""contract: refused before it ran. crash: raised, or died. timeout and memory: over its limit.
invalid_output: what came back is not a usable ranking."""

PartName = Literal["search", "promotion", "test"]

Standing = Literal["", "approved", "pinned", "barred"]
"""What reviewers think of a candidate. barred: banned or rejected, so neither a parent nor an
example; approved and pinned: a preferred one."""

TaskName = Literal["retrieval", "ranking", "reranking", "pipeline"]
"""What a candidate is asked for: lists of items for users, or a probability for each row."""

Fidelity = Literal["smoke", "low", "full"]
"""How much of a part a candidate is judged on: a sliver, a share, or all of it. Scores are
comparable at one fidelity only."""


# --- candidates ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A program that may become a module of the recommender.

    `source` is one Python file that meets `evolver.contract`. `values` overrides the defaults of
    the tunables that the file declares. `family` names the kind of model for the archive's map.
    """

    source: str
    values: Mapping[str, Value] = field(default_factory=dict)
    parents: tuple[str, ...] = ()
    name: str = ""
    idea: str = ""
    family: str = "other"
    proposer: str = ""
    operator: str = "draft"
    point: Mapping[str, Value] | None = None
    """Where in its typed space it lies, if a typed search proposed it."""
    space: str = ""
    """The typed space that `point` lies in."""
    prompt_hash: str | None = None
    model: str = ""
    """Which language model wrote it, if one did."""
    author: str = ""
    """Who wrote it, as they call themselves, where a person or an agent answered."""
    passed_over: tuple[str, ...] = ()
    """Models that were asked for this proposal too, and gave no reply."""
    direction: str = ""
    """What kind of change was asked for: architecture, loss, negatives, ..."""
    expect: str = ""
    """The effect that its proposer predicted before it ran."""
    review: str = ""
    """What a reviewing model said of it before it ran; nobody's score depends on it."""

    @property
    def id(self) -> str:
        """12 hexadecimal digits that name this source with these values, whoever proposed it."""
        canonical = json.dumps(
            [self.source, sorted(self.values.items())], ensure_ascii=False, allow_nan=False
        )
        return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()[:12]

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Candidate:
        """A candidate from its fields as JSON keeps them, where tuples are lists. Raises TypeError
        for fields that it does not have."""
        tuples = {name: tuple(stored.get(name, ())) for name in ("parents", "passed_over")}
        return cls(**{**stored, **tuples})


# --- running ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one candidate may use, fitting and scoring together."""

    seconds: float = 120.0
    memory_bytes: int = 4 << 30
    threads: int = 1
    scratch_bytes: int = 1 << 30
    processes: int = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One candidate to train and to ask for its rankings.

    `view` is a folder written by a task: all that the candidate may read, and no label. `queries`
    is how many users (rows of a table, for ranking) it is asked for, `served` which of these (rows
    of the view's queries, ascending) it says it can serve; None means all of them. `items` and `k`
    are the catalogue and the length of a list; 0 where no lists are asked for.
    """

    candidate: Candidate
    view: Path
    queries: int
    items: int
    k: int
    seed: int
    limits: Limits
    served: NDArray[np.int64] | None = None
    device: str = "cpu"
    want_weights: bool = False
    probe: NDArray[np.int64] | None = None
    """Places in what is asked for, to ask for once more, in this order, when all else is done."""
    ablate: str = ""
    """The declared part to leave out; "" for none."""
    want_onnx: bool = False
    """Whether an ONNX graph of the model's scorer is asked for, when all else is done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One report from a candidate's `fit`. Untrusted: for showing and for stopping early only."""

    step: int
    loss: float | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """A candidate ran to its end. Times are the parent's clock, not the candidate's word.

    answers: what was asked for, checked. Retrieval: (rows asked for, k) int32, items best first, in
    range, no duplicates. Ranking: (rows asked for,) float64 probabilities.
    latency_ms: (n,) float64, requests for one user or row.
    weights: what the module needs to be rebuilt, as safetensors bytes, if the job asked.
    """

    answers: NDArray[Any]
    fit_seconds: float
    score_seconds: float
    latency_ms: NDArray[np.float64]
    parameters: int
    peak_bytes: int
    progress: tuple[Progress, ...] = ()
    weights: bytes | None = None
    probed: NDArray[Any] | None = None
    """What came when the job's `probe` was asked for: equal to those rows of `answers`, if an
    answer depends on nothing but what it is for."""
    observed: Mapping[str, float] = field(default_factory=dict)
    """What the trained model says of itself, finite. Untrusted: for people and prompts only."""
    onnx: bytes | None = None
    """The ONNX graph, if the job asked. Unchecked: see `evolver.export.graph`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """Why a candidate has no score. `reason` is shown to the proposer."""

    kind: FailureKind
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """What the sandbox saw. Output is bounded; what was cut says how many bytes went."""

    outcome: Completed | Failed
    seconds: float
    stdout: str = ""
    stderr: str = ""
    sandbox: str = ""


class Sandbox(Protocol):
    """Runs candidates apart from everything they must not see."""

    name: str

    def run(self, job: Job, watch: Callable[[Progress], bool] | None = None) -> Execution:
        """Train and query one candidate in a fresh, single-use worker. Safe to call from threads.

        `watch` sees each progress report; returning False asks the candidate to stop early with
        what it has. Raises `SandboxUnavailable` when the fault is ours.
        """
        ...

    def close(self) -> None:
        """Kill every worker. Safe to call twice."""
        ...


# --- judging ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """What we concluded about a candidate on one part of the data.

    metrics: finite means over users. per_user: (users,) float32 for each per-user metric, in the
    order of the part's users, so that any two candidates can be compared in pairs. For ranking it
    is what each user (each run of rows, where nobody is named) contributes; the mean is the metric.
    """

    metrics: Mapping[str, float]
    per_user: Mapping[str, NDArray[np.float32]] = field(compare=False, repr=False)
    fit_seconds: float
    score_seconds: float
    latency_ms_p50: float
    latency_ms_p99: float
    parameters: int
    peak_bytes: int
    unserved: int = 0
    """Users that the candidate cannot serve; they got the popularity ranking instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """Sound, but not worth more: judged at a lower fidelity, or while it trained, and not sent on.

    Neither a failure nor comparable with a whole judging: `scored` is what it reached at its own
    fidelity; None where it was stopped while it trained. `reason` is shown to the proposer.
    """

    fidelity: Fidelity
    reason: str
    scored: Scored | None = None


Evaluation = Scored | Stopped | Failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One candidate in the archive with what is known about it on the search part."""

    number: int
    candidate: Candidate
    evaluation: Evaluation
    seconds: float = 0.0
    remarks: tuple[str, ...] = ()
    """What reviewers said of it, for the proposer."""
    standing: Standing = ""
    """Where it stands with them."""
    parts: tuple[str, ...] = ()
    """What leaving out each part that it declares was seen to do, for the proposer."""

    def score(self, metric: str) -> float | None:
        """The value of one metric at full fidelity; None where the candidate has none."""
        return self.evaluation.metrics[metric] if isinstance(self.evaluation, Scored) else None

    def partial(self, metric: str) -> float | None:
        """Where it was stopped, the metric at its own fidelity, -inf if there is none; else None.
        Comparable with other values of that fidelity only."""
        if not isinstance(self.evaluation, Stopped):
            return None
        scored = self.evaluation.scored
        return float("-inf") if scored is None else scored.metrics[metric]


# --- proposing ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """What a proposer is told. Only what is recorded up to `number - lag`, so that the same run
    with the same seed proposes the same candidates whatever finishes first."""

    number: int
    seed: int
    task: str
    metric: str
    profile: Mapping[str, Any]
    history: Sequence[Entry]
    parents: Sequence[Entry]
    limits: Limits
    candidates_left: int
    seconds_left: float
    search_from: int = 0
    """The first number that is not a baseline's."""
    usd_left: float | None = None
    tokens_left: int | None = None
    tuning: tuple[int, int] | None = None
    """Where survivors are tuned: the first number of that phase and the one after its last. All
    before the first is in the history."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unusable:
    """A proposal that never became a program: what was asked for, of whom, and why it came to
    nothing. `asked` has no source; it is recorded all the same, so that whoever chooses operators,
    directions and models next learns from it."""

    asked: Candidate
    why: Failed


class Proposer(Protocol):
    """Makes candidates. Safe to call from several threads."""

    name: str

    def propose(self, brief: Brief) -> Candidate | Unusable:
        """One candidate, or why none could be made. Raises `ProposerError` when no proposals can
        be had at all."""
        ...


class Selector(Protocol):
    """Picks parents from what is recorded."""

    def select(self, history: Sequence[Entry], seed: int) -> Sequence[Entry]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request to a model and what came back. `usd` is None where no price is known."""

    request_hash: str
    number: int
    model: str
    request: str
    reply: str | None
    error: str | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    usd: float | None = None
    seconds: float = 0.0


class Ledger(Protocol):
    """Keeps every exchange, so that nothing is paid for twice."""

    def recall(self, request_hash: str) -> Exchange | None:
        """The recorded successful exchange with this request, if any."""
        ...

    def record(self, exchange: Exchange) -> None:
        """Write one exchange; durable on return."""
        ...


# --- typed search -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One dimension of a typed space.

    kind "choice": one of `choices`; "int" and "float": low to high, inclusive; `log` searches
    magnitudes. `when` names an earlier choice and the values of it for which this one exists.
    """

    name: str
    kind: Literal["choice", "int", "float"]
    choices: tuple[Value, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    default: Value | None = None
    when: tuple[str, tuple[Value, ...]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """A point that was tried. `score` is higher-is-better; None where the candidate failed, or
    was stopped: then `partial` is its score at a lower fidelity, -inf where there is none."""

    point: Mapping[str, Value]
    score: float | None
    partial: float | None = None
    objectives: tuple[float, ...] = ()
    """Several scores, each higher-is-better, for a tuner that searches a Pareto front."""


class Tuner(Protocol):
    """Searches a typed space. A pure function of its arguments: safe to resume, safe in threads."""

    name: str

    def suggest(
        self, space: Sequence[Parameter], observed: Sequence[Observation], seed: int
    ) -> Mapping[str, Value]:
        """The next point to try: a value for each parameter whose `when` holds, and no other."""
        ...
