"""The re-ranking task: lists with scores in, the same items in another order out.

Data and folds are those of pipelines. The lists come from an upstream pipeline without a re-ranker,
which stays the same for a whole run; a candidate becomes its re-ranking agent, and what is compared
is the outer reward of the pipeline that this makes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from evolver import zoo
from evolver.agents.document import Document, parse
from evolver.agents.fold import PipelineFold
from evolver.agents.reranking_sandbox import RerankingSandbox
from evolver.agents.task import PipelineTask
from evolver.agents.upstream import default_upstream, upstream, upstream_of
from evolver.config import EvaluateConfig, RunConfig
from evolver.core import Failed, Sandbox, TaskName
from evolver.data.dataset import Dataset
from evolver.errors import ConfigError, UsageError
from evolver.evaluate.check import Facts, inspect_source
from evolver.zoo import BASELINES, RERANKING, Baseline


class Reranking(PipelineTask):
    """`evolver.tasks.task.Task` whose candidates re-rank. Identity is what they have to beat."""

    name: TaskName = "reranking"
    evaluator = "reranking-1"
    baselines: tuple[Baseline, ...] = RERANKING

    def settled(self, config: RunConfig, data: Dataset, seconds: float) -> RunConfig:
        """With the upstream in it, its programs written out."""
        given = config.evaluate.upstream
        try:
            document = _default(config, data, seconds) if given is None else parse(given)
            text = upstream(document).text()
        except UsageError as error:
            raise ConfigError(f"the upstream pipeline: {error}") from None
        evaluate = config.evaluate.model_copy(update={"upstream": text})
        return config.model_copy(update={"evaluate": evaluate})

    def inspect(self, source: str) -> Facts | Failed:
        return inspect_source(source, self.name)

    def known(self, baseline: Baseline) -> str:
        return zoo.source(baseline.name)

    def staged(
        self,
        sandbox: Sandbox,
        fold_of: Callable[[Path], PipelineFold],
        folder: Path,
        config: EvaluateConfig,
    ) -> Sandbox:
        return RerankingSandbox(sandbox, upstream_of(config), fold_of, folder)


def _default(config: RunConfig, data: Dataset, seconds: float) -> Document:
    """The default upstream without retrievers that are too large for the data."""
    memory = int(config.execute.memory_gib * (1 << 30))
    too_large = [
        each.name
        for each in BASELINES
        if each.unfit(data.n_users, data.n_items, len(data), memory, seconds) is not None
    ]
    return default_upstream(too_large)
