"""Retrieval as a run uses it: interactions in, ranked lists out."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evolver.config import DataConfig, EvaluateConfig, SplitConfig
from evolver.core import Completed, Execution, Failed, PartName, Scored, TaskName
from evolver.data.dataset import Dataset
from evolver.data.formats import load
from evolver.data.profile import describe
from evolver.data.split import Fold, Split, make_fold, make_split
from evolver.data.warnings import warn
from evolver.evaluate.behaviour import (
    Bounds,
    batch_dependence,
    bounds,
    shuffled_labels,
    suspicious,
)
from evolver.evaluate.canaries import DATA_CANARIES, Alarm, data_canaries
from evolver.evaluate.check import Facts
from evolver.evaluate.reduce import Reduction, reduced, sliver
from evolver.evaluate.slices import Slice, slices_of
from evolver.metrics.ranking import parse_metric, per_user
from evolver.tasks import retrieval
from evolver.tasks.popularity import popularity_lists
from evolver.tasks.program import OneProgram
from evolver.tasks.task import Question
from evolver.tasks.view import write_view
from evolver.zoo import BASELINES, Baseline


class Retrieval(OneProgram):
    """`evolver.tasks.task.Task` over interactions."""

    name: TaskName = "retrieval"
    evaluator = retrieval.EVALUATOR
    baselines: tuple[Baseline, ...] = BASELINES
    rows = "interactions"
    looks_for: tuple[str, ...] = DATA_CANARIES
    bounded = True

    def load(self, config: DataConfig) -> Dataset:
        return load(config)

    def split(self, data: Dataset, config: SplitConfig, seed: int) -> Split:
        return make_split(data, config, seed)

    def fold(self, data: Dataset, split: Split, part: PartName, config: SplitConfig) -> Fold:
        return make_fold(data, split, part, config.repeats)

    def reduced(self, fold: Fold, reduction: Reduction, seed: int) -> Fold:
        return reduced(fold, reduction, seed)

    def sliver(self, fold: Fold, seed: int) -> Fold:
        return sliver(fold, seed)

    def describe(
        self, data: Dataset, split: Split | None, folds: Mapping[PartName, Fold]
    ) -> dict[str, Any]:
        return describe(data, split, folds)

    def warnings(
        self,
        data: Dataset,
        split: Split,
        folds: Mapping[PartName, Fold],
        profile: dict[str, Any],
    ) -> list[str]:
        return warn(data, split, folds, profile, now=time.time())

    def canaries(self, data: Dataset, split: Split, folds: Iterable[Fold]) -> tuple[Alarm, ...]:
        return data_canaries(data, split, folds)

    def slices(self, fold: Fold) -> tuple[Slice, ...]:
        return slices_of(fold)

    def sizes(self, profile: Mapping[str, Any]) -> tuple[int, int]:
        return int(profile["users"]), int(profile["items"])

    def write_view(self, fold: Fold, folder: Path) -> None:
        write_view(fold, folder)

    def question(self, fold: Fold, config: EvaluateConfig) -> Question:
        return Question(
            queries=len(fold.queries),
            items=fold.train.n_items,
            k=retrieval.list_length(config),
        )

    def served_rows(self, facts: Facts, fold: Fold) -> NDArray[np.int64] | None:
        return retrieval.served_rows(facts, fold)

    def check_metrics(self, config: EvaluateConfig, data: Dataset | None = None) -> None:
        retrieval.metrics_of(config)

    def evaluate(
        self,
        execution: Execution,
        fold: Fold,
        config: EvaluateConfig,
        served: NDArray[np.int64] | None,
    ) -> Scored | Failed:
        return retrieval.evaluate(execution, fold, config, served)

    def alarms(
        self,
        outcome: Completed,
        *,
        probed: NDArray[np.int64],
        fold: Fold,
        config: EvaluateConfig,
        served: NDArray[np.int64] | None,
        seed: int,
    ) -> Sequence[Alarm]:
        if outcome.probed is None:
            raise RuntimeError("the sandbox did not ask a second time")
        lists = retrieval.all_lists(outcome.answers, fold, config, served)
        found = (
            batch_dependence(outcome.answers, outcome.probed, probed),
            shuffled_labels(lists, fold, parse_metric(config.metric), seed),
        )
        return [alarm for alarm in found if alarm is not None]

    def too_good(
        self, value: float, rival: float | None, fold: Fold, config: EvaluateConfig, seed: int
    ) -> Alarm | None:
        """The best baseline itself is held against neighbours who know the future."""
        limits, popularity = _limits(fold, config.metric, retrieval.list_length(config), seed)
        best = limits.informed if rival is None else rival
        return suspicious(value, limits, best, popularity)


@lru_cache(maxsize=1)
def _limits(fold: Fold, main: str, k: int, seed: int) -> tuple[Bounds, float]:
    """What can be reached on a fold, and what popularity reaches. Slow, and asked for again."""
    metric, labels = parse_metric(main), fold.labels
    lists = popularity_lists(fold.train, fold.queries, k, repeats=fold.repeats)
    values = per_user(lists, labels.indptr, labels.items, fold.train.n_items, [metric])
    return bounds(fold, metric, seed=seed), float(values[metric.name].mean())
