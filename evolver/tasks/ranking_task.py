"""Ranking as a run uses it: labelled rows in, a probability for each row out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evolver.config import DataConfig, EvaluateConfig, SplitConfig
from evolver.core import Completed, Execution, Failed, PartName, Scored, TaskName
from evolver.data.labelled.profile import describe_table, warn_table
from evolver.data.labelled.read import load_labelled
from evolver.data.labelled.reduce import reduced_table, table_sliver
from evolver.data.labelled.split import TableFold, fold_table, split_table
from evolver.data.labelled.table import LabelledTable
from evolver.data.split import Split
from evolver.errors import UsageError
from evolver.evaluate.canaries import Alarm
from evolver.evaluate.check import Facts
from evolver.evaluate.reduce import Reduction
from evolver.evaluate.slices import Slice
from evolver.evaluate.table_canaries import (
    TABLE_CANARIES,
    batch_dependence,
    oddly_good,
    shuffled,
    table_canaries,
)
from evolver.evaluate.table_slices import table_slices
from evolver.tasks import ranking
from evolver.tasks.program import OneProgram
from evolver.tasks.ranking_view import write_table_view
from evolver.tasks.task import Question
from evolver.zoo import RANKING, Baseline


class Ranking(OneProgram):
    """`evolver.tasks.task.Task` over labelled tables."""

    name: TaskName = "ranking"
    evaluator = ranking.EVALUATOR
    baselines: tuple[Baseline, ...] = RANKING
    rows = "labelled rows"
    looks_for: tuple[str, ...] = TABLE_CANARIES
    bounded = False

    def load(self, config: DataConfig) -> LabelledTable:
        return load_labelled(config)

    def split(self, data: LabelledTable, config: SplitConfig, seed: int) -> Split:
        return split_table(data, config, seed)

    def fold(
        self, data: LabelledTable, split: Split, part: PartName, config: SplitConfig
    ) -> TableFold:
        return fold_table(data, split, part)

    def reduced(self, fold: TableFold, reduction: Reduction, seed: int) -> TableFold:
        return reduced_table(fold, reduction.users, reduction.history, seed)

    def sliver(self, fold: TableFold, seed: int) -> TableFold:
        return table_sliver(fold, seed)

    def describe(
        self, data: LabelledTable, split: Split | None, folds: Mapping[PartName, TableFold]
    ) -> dict[str, Any]:
        return describe_table(data, split, folds)

    def warnings(
        self,
        data: LabelledTable,
        split: Split,
        folds: Mapping[PartName, TableFold],
        profile: dict[str, Any],
    ) -> list[str]:
        return warn_table(folds, profile)

    def canaries(
        self, data: LabelledTable, split: Split, folds: Iterable[TableFold]
    ) -> tuple[Alarm, ...]:
        return table_canaries(folds)

    def slices(self, fold: TableFold) -> tuple[Slice, ...]:
        return table_slices(fold)

    def sizes(self, profile: Mapping[str, Any]) -> tuple[int, int]:
        """What models keep numbers for are codes, of whatever column."""
        return 0, int(profile["codes"])

    def write_view(self, fold: TableFold, folder: Path) -> None:
        write_table_view(fold, folder)

    def question(self, fold: TableFold, config: EvaluateConfig) -> Question:
        return Question(queries=len(fold.asked))

    def served_rows(self, facts: Facts, fold: TableFold) -> NDArray[np.int64] | None:
        return None

    def check_metrics(self, config: EvaluateConfig, data: LabelledTable | None = None) -> None:
        ranking.metrics_of(config)
        if config.metric == "gauc" and data is not None and data.user is None:
            raise UsageError(f"gauc needs users, and {data.name} names none; use --user COLUMN")

    def evaluate(
        self,
        execution: Execution,
        fold: TableFold,
        config: EvaluateConfig,
        served: NDArray[np.int64] | None,
    ) -> Scored | Failed:
        return ranking.evaluate(execution, fold, config)

    def alarms(
        self,
        outcome: Completed,
        *,
        probed: NDArray[np.int64],
        fold: TableFold,
        config: EvaluateConfig,
        served: NDArray[np.int64] | None,
        seed: int,
    ) -> Sequence[Alarm]:
        if outcome.probed is None:
            raise RuntimeError("the sandbox did not ask a second time")
        found = (
            batch_dependence(outcome.answers, outcome.probed, probed),
            shuffled(outcome.answers, fold, seed),
        )
        return [alarm for alarm in found if alarm is not None]

    def too_good(
        self,
        value: float,
        rival: float | None,
        fold: TableFold,
        config: EvaluateConfig,
        seed: int,
    ) -> Alarm | None:
        """Nobody knows what can be reached, so the best baseline itself is not judged."""
        return None if rival is None else oddly_good(config.metric, value, rival)
