"""Runs a re-ranker on the lists of its run's upstream, in a sandbox of its own.

The upstream is trained once for each view and seed, before the first re-ranker that needs it, and
recalled for the others. It has the time that a candidate has, beside the candidate's own. Where it
fails no candidate is to blame, so the run stops.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from evolver.agents.cache import StageCache
from evolver.agents.document import Document
from evolver.agents.fold import PipelineFold
from evolver.agents.program import Programs, StageFailed, ran_of
from evolver.agents.reranking import write_ranked
from evolver.agents.staged import Ordered
from evolver.agents.stages import StageRun, trainings
from evolver.agents.upstream import RERANKER, with_reranker
from evolver.core import Completed, Execution, Failed, Job, Progress, Sandbox
from evolver.errors import UsageError


class RerankingSandbox:
    """`evolver.core.Sandbox` for candidates that re-rank. Safe to use from threads.

    `fold_of` gives the fold that a view was written from. `folder` is where results of the upstream
    are kept.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        upstream: Document,
        fold_of: Callable[[Path], PipelineFold],
        folder: Path,
    ) -> None:
        self.name = sandbox.name
        self._sandbox = sandbox
        self._upstream = upstream
        self._fold_of = fold_of
        self._folder = folder
        self._cache = StageCache(folder)
        self._lock = threading.Lock()

    def run(self, job: Job, watch: Callable[[Progress], bool] | None = None) -> Execution:
        """Train and query one re-ranker. Raises UsageError where the upstream fails for another
        reason than time."""
        began = time.monotonic()
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._folder) as drafts:
            stages, ordered = self._before(job, Path(drafts))
            if isinstance(ordered, Failed):
                seconds = time.monotonic() - began
                return Execution(outcome=ordered, seconds=seconds, sandbox=self.name)
            execution = self._rerank(job, stages, ordered, Path(drafts) / "reranking", watch)
        return replace(execution, seconds=time.monotonic() - began)

    def close(self) -> None:
        self._sandbox.close()

    def _before(self, job: Job, drafts: Path) -> tuple[StageRun, Ordered | Failed]:
        """The lists of the upstream; `Failed` where it was not done in time. Others that want them
        wait, for theirs are the same. What is asked of a candidate alone is not asked of it."""
        document = with_reranker(self._upstream, job.candidate)
        theirs = replace(job, probe=None, ablate="")
        with self._lock:
            programs = Programs(self._sandbox, self._cache, theirs, trainings(document) - 1)
            stages = StageRun(document, self._fold_of(job.view), theirs, programs, drafts)
            try:
                return stages, stages.ordered()
            except StageFailed as fault:
                failed = fault.failed
        if failed.kind != "timeout":
            raise UsageError(
                f"the upstream pipeline cannot make lists of this data: {failed.reason}; name "
                "another with --pipeline FILE"
            )
        return stages, replace(failed, reason=f"the upstream pipeline: {failed.reason}")

    def _rerank(
        self,
        job: Job,
        stages: StageRun,
        ordered: Ordered,
        view: Path,
        watch: Callable[[Progress], bool] | None,
    ) -> Execution:
        found, given = ordered.found, ordered.given
        if given is None:
            raise RuntimeError("a pipeline with a re-ranker made nothing to learn re-ranking from")
        train, asked = stages.slates(found, given)
        write_ranked(train, asked, view, repeats=stages.fold.repeats)
        execution = self._sandbox.run(replace(job, view=view, served=None), watch)
        if not isinstance(execution.outcome, Completed):
            return execution
        ran = ran_of(execution.outcome, job.probe)
        lists = stages.reranked(RERANKER, ran, asked, found)
        outcome = stages.staged(ordered, lists, probe=job.probe)
        return replace(execution, outcome=outcome)
