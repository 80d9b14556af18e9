"""What a task is: everything that a run does differently for one kind of module than for another.

A run holds data, a split of it and folds; what these are is the task's affair. The loop, the
archive, the gate and the reports see labels of no kind, only what a task concludes from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from evolver.config import DataConfig, EvaluateConfig, RunConfig, SplitConfig
from evolver.core import Completed, Execution, Failed, PartName, Sandbox, Scored, TaskName
from evolver.data.split import Split
from evolver.evaluate.canaries import Alarm
from evolver.evaluate.check import Facts
from evolver.evaluate.reduce import Reduction
from evolver.evaluate.slices import Slice
from evolver.zoo import Baseline


class Data(Protocol):
    """What a task reads. `fingerprint`: 16 hexadecimal digits over all that could matter."""

    @property
    def name(self) -> str: ...

    @property
    def fingerprint(self) -> str: ...

    def __len__(self) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """How much a fold asks for: how many users or rows, out of how many items, lists how long."""

    queries: int
    items: int = 0
    k: int = 0


D = TypeVar("D", bound=Data)
F = TypeVar("F")


class Task(Protocol[D, F]):
    """D: the data. F: a fold, one judging of it.

    name: as in a configuration. evaluator: changes whenever the same answers would be judged
    differently. baselines: from cheap to dear. rows: what a row of the data is called. looks_for:
    the canaries in data that are looked for. bounded: whether it is known what can be reached on a
    fold, so that even the best baseline can be too good.
    """

    name: TaskName
    evaluator: str
    baselines: tuple[Baseline, ...]
    rows: str
    looks_for: tuple[str, ...]
    bounded: bool

    # --- data -----------------------------------------------------------------------------------

    def load(self, config: DataConfig) -> D:
        """Read the data. Raises DataError."""
        ...

    def split(self, data: D, config: SplitConfig, seed: int) -> Split:
        """Which part each row belongs to. Raises DataError."""
        ...

    def fold(self, data: D, split: Split, part: PartName, config: SplitConfig) -> F:
        """What it takes to judge on a part, training on all parts before it."""
        ...

    def reduced(self, fold: F, reduction: Reduction, seed: int) -> F:
        """The fold with less in it."""
        ...

    def sliver(self, fold: F, seed: int) -> F:
        """A fold that takes seconds."""
        ...

    def describe(self, data: D, split: Split | None, folds: Mapping[PartName, F]) -> dict[str, Any]:
        """The data in numbers, JSON-able; "rows", "users" and "items" are always there, "parts"
        with a split."""
        ...

    def warnings(
        self, data: D, split: Split, folds: Mapping[PartName, F], profile: dict[str, Any]
    ) -> list[str]:
        """What limits what results mean, a line each."""
        ...

    def canaries(self, data: D, split: Split, folds: Iterable[F]) -> tuple[Alarm, ...]:
        """What gives answers away before anything is trained, in any of the parts. Only what
        `looks_for` names can be found."""
        ...

    def slices(self, fold: F) -> tuple[Slice, ...]:
        """Groups of users that a mean hides."""
        ...

    def sizes(self, profile: Mapping[str, Any]) -> tuple[int, int]:
        """Users and items as a baseline's need of memory counts them."""
        ...

    def settled(self, config: RunConfig, data: D, seconds: float) -> RunConfig:
        """The settings of a new run with what nobody said filled in from the data, where later
        sittings have to find the same. `seconds`: for one candidate. Raises UsageError."""
        ...

    # --- candidates -----------------------------------------------------------------------------

    def inspect(self, source: str) -> Facts | Failed:
        """What a candidate's source says about itself, or why it does not meet the contract."""
        ...

    def known(self, baseline: Baseline) -> str:
        """A baseline as the source of a candidate."""
        ...

    def staged(
        self,
        sandbox: Sandbox,
        fold_of: Callable[[Path], F],
        folder: Path,
        config: EvaluateConfig,
    ) -> Sandbox:
        """The sandbox for candidates of this task, over one for single programs. `fold_of`: the
        fold that a view was written from; `folder`: where it may keep results."""
        ...

    # --- what enters and leaves a sandbox -------------------------------------------------------

    def write_view(self, fold: F, folder: Path) -> None:
        """Write what a candidate may read of a fold. No label of what it is asked for."""
        ...

    def question(self, fold: F, config: EvaluateConfig) -> Question:
        """How much is asked for."""
        ...

    def served_rows(self, facts: Facts, fold: F) -> NDArray[np.int64] | None:
        """Which queries a candidate is asked for, ascending; None means all of them."""
        ...

    # --- judging --------------------------------------------------------------------------------

    def check_metrics(self, config: EvaluateConfig, data: D | None = None) -> None:
        """Raises UsageError where a metric is unknown, cannot be compared by, or needs what the
        data lacks."""
        ...

    def evaluate(
        self,
        execution: Execution,
        fold: F,
        config: EvaluateConfig,
        served: NDArray[np.int64] | None,
    ) -> Scored | Failed:
        """Measure what came back against the labels."""
        ...

    def alarms(
        self,
        outcome: Completed,
        *,
        probed: NDArray[np.int64],
        fold: F,
        config: EvaluateConfig,
        served: NDArray[np.int64] | None,
        seed: int,
    ) -> Sequence[Alarm]:
        """What the canaries in results say of answers; `probed`: the places asked for twice."""
        ...

    def too_good(
        self, value: float, rival: float | None, fold: F, config: EvaluateConfig, seed: int
    ) -> Alarm | None:
        """Whether a value of the main metric on this fold is more than anybody should reach.
        `rival`: what the best baseline reaches; None where the value is its own."""
        ...


AnyTask = Task[Any, Any]
"""A task whose data and folds are nobody else's affair."""
