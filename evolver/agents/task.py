"""The pipeline task: interactions in, ranked lists out, judged by the outer reward."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack

from evolver.agents import rewards
from evolver.agents.document import parse
from evolver.agents.fold import PipelineFold, nested, pipeline_fold
from evolver.agents.inner import inner_rewards
from evolver.agents.pipeline_sandbox import PipelineSandbox
from evolver.agents.space import parameters
from evolver.agents.staged import Staged
from evolver.agents.stages import inner_view
from evolver.agents.start import single
from evolver.config import EvaluateConfig, SplitConfig
from evolver.contract import Interactions
from evolver.core import Completed, Execution, Failed, PartName, Sandbox, Scored, TaskName
from evolver.data.dataset import Dataset
from evolver.data.split import Fold, Split
from evolver.errors import ConfigError, UsageError
from evolver.evaluate.canaries import Alarm
from evolver.evaluate.check import Facts
from evolver.evaluate.reduce import Reduction, reduced, sliver
from evolver.metrics.ranking import parse_metric
from evolver.tasks.popularity import filled
from evolver.tasks.retrieval_task import Retrieval
from evolver.tasks.task import Question
from evolver.tasks.view import write_view
from evolver.zoo import Baseline

STAGE = "stage."
"""A pipeline's metrics hold what each agent took under this, its name, and the unit."""


class PipelineTask(Retrieval):
    """`evolver.tasks.task.Task` whose candidates are pipelines."""

    name: TaskName = "pipeline"
    evaluator = "pipeline-1"
    bounded = False

    def inspect(self, source: str) -> Facts | Failed:
        """What a document says of itself: its typed space."""
        try:
            document = parse(source)
        except ConfigError as error:
            return Failed(kind="contract", reason=str(error)[:280])
        recall = document.pool("recall")
        alone = len(document.agents) == 1
        return Facts(
            family=document.facts(recall[0]).family if alone else "pipeline",
            serves_unseen=any(document.facts(name).serves_unseen for name in recall),
            tunables=parameters(document),
            has_score=False,
            has_recommend=True,
            doc=document.name,
            task=self.name,
        )

    def known(self, baseline: Baseline) -> str:
        """A pipeline of one retriever alone."""
        return single(baseline.name).text()

    def staged(
        self,
        sandbox: Sandbox,
        fold_of: Callable[[Path], PipelineFold],
        folder: Path,
        config: EvaluateConfig,
    ) -> Sandbox:
        return PipelineSandbox(sandbox, fold_of, folder)

    def fold(
        self, data: Dataset, split: Split, part: PartName, config: SplitConfig
    ) -> PipelineFold:
        return pipeline_fold(data, split, part, config.repeats)

    def reduced(self, fold: Fold, reduction: Reduction, seed: int) -> Fold:
        return _both(fold, lambda each: reduced(each, reduction, seed))

    def sliver(self, fold: Fold, seed: int) -> Fold:
        return _both(fold, lambda each: sliver(each, seed))

    def write_view(self, fold: Fold, folder: Path) -> None:
        """The view of the fold, and beside it, before it, that of the inner one."""
        if not isinstance(fold, PipelineFold):
            raise TypeError("a pipeline is judged on a fold with an inner one")
        write_view(fold.inner, inner_view(folder))
        write_view(fold, folder)

    def served_rows(self, facts: Facts, fold: Fold) -> NDArray[np.int64] | None:
        """Everybody: whom no agent serves gets the fallback, as a retrieval candidate's do."""
        return None

    def check_metrics(self, config: EvaluateConfig, data: Dataset | None = None) -> None:
        wanted = rewards.metric_of(config.reward)
        if config.metric != wanted:
            raise UsageError(
                f"{self.name} candidates are compared by the outer reward, {wanted} with the "
                f"relevance {config.reward.relevance}, not by {config.metric}"
            )
        super().check_metrics(plain(config), data)

    def question(self, fold: Fold, config: EvaluateConfig) -> Question:
        return super().question(fold, plain(config))

    def evaluate(
        self,
        execution: Execution,
        fold: Fold,
        config: EvaluateConfig,
        served: NDArray[np.int64] | None,
    ) -> Scored | Failed:
        """Relevance and what lies beyond it as for retrieval, then the outer reward, the inner
        reward of each agent, and what each stage took."""
        outcome = execution.outcome
        if isinstance(outcome, Failed):
            return outcome
        if not isinstance(outcome, Staged):
            raise TypeError("a pipeline was run by a sandbox for single candidates")
        lists, unserved = filled(outcome.answers, fold.train, fold.queries, repeats=fold.repeats)
        judged = replace(outcome, answers=lists)
        found = super().evaluate(replace(execution, outcome=judged), fold, plain(config), None)
        if isinstance(found, Failed):
            return found
        return _rewarded(found, judged, fold, config, unserved)

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
        return super().alarms(
            outcome, probed=probed, fold=fold, config=plain(config), served=served, seed=seed
        )

    def too_good(
        self, value: float, rival: float | None, fold: Fold, config: EvaluateConfig, seed: int
    ) -> Alarm | None:
        """No bound: a reward is no share of what can be reached. Relevance alone has one, and the
        canaries in the data and in lists still look."""
        return None


def plain(config: EvaluateConfig) -> EvaluateConfig:
    """The settings of a retrieval candidate that is judged by the relevance alone."""
    return config.model_copy(update={"metric": config.reward.relevance})


def features_of(train: Interactions) -> csr_matrix | None:
    """(n_items, width) all that is known of items; None where nothing is."""
    given = list(train.item_features.values())
    return hstack(given, format="csr") if given else None


def _both(fold: Fold, change: Callable[[Fold], Fold]) -> PipelineFold:
    if not isinstance(fold, PipelineFold):
        raise TypeError("a pipeline is judged on a fold with an inner one")
    return nested(change(fold), change(fold.inner))


def _rewarded(
    found: Scored, outcome: Staged, fold: Fold, config: EvaluateConfig, unserved: int
) -> Scored:
    relevance = parse_metric(config.reward.relevance)
    outer = rewards.outer(
        config.reward,
        outcome.answers[:, : relevance.k],
        found.per_user[relevance.name].astype(np.float64),
        popularity=fold.train.popularity(),
        features=features_of(fold.train),
        latency_ms=found.latency_ms_p50,
        cost_seconds=found.fit_seconds + found.score_seconds,
    )
    inner = inner_rewards(outcome, fold, outer, config.reward)
    return replace(
        found,
        metrics={
            **found.metrics,
            config.metric: outer.reward,
            **{f"{rewards.PART}{name}": value for name, value in outer.parts.items()},
            **{f"{rewards.INNER}{name}": float(each.mean()) for name, each in inner.items()},
            **_stages(outcome),
        },
        per_user={
            **found.per_user,
            config.metric: outer.per_user.astype(np.float32),
            **{f"{rewards.INNER}{name}": each.astype(np.float32) for name, each in inner.items()},
        },
        unserved=unserved,
    )


def _stages(outcome: Staged) -> Mapping[str, float]:
    found = {}
    for each in outcome.stages:
        found[f"{STAGE}{each.agent}.seconds"] = each.seconds
        found[f"{STAGE}{each.agent}.latency_ms"] = float(np.median(each.latency_ms))
    return found
