"""The sandbox for candidates that are pipelines: each agent runs in a sandbox of its own.

To the search a pipeline is a candidate like any other, whose source is its document, and this is
the sandbox that runs it.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from evolver.agents.cache import StageCache
from evolver.agents.fold import PipelineFold
from evolver.agents.program import Programs, StageFailed
from evolver.agents.space import pipeline_of
from evolver.agents.stages import StageRun, trainings
from evolver.core import Completed, Execution, Failed, Job, Progress, Sandbox


class PipelineSandbox:
    """`evolver.core.Sandbox` for candidates that are pipelines.

    `fold_of` gives the fold that a view was written from. `folder` is where results are kept.
    """

    def __init__(
        self, sandbox: Sandbox, fold_of: Callable[[Path], PipelineFold], folder: Path
    ) -> None:
        self.name = sandbox.name
        self._sandbox = sandbox
        self._fold_of = fold_of
        self._folder = folder
        self._cache = StageCache(folder)

    def run(self, job: Job, watch: Callable[[Progress], bool] | None = None) -> Execution:
        """Train and query one pipeline. `job.ablate`: agents to leave out, joined by "+"."""
        began = time.monotonic()
        document = pipeline_of(job.candidate).without(*filter(None, job.ablate.split("+")))
        programs = Programs(self._sandbox, self._cache, job, trainings(document))
        with tempfile.TemporaryDirectory(dir=self._place()) as drafts:
            run = StageRun(document, self._fold_of(job.view), job, programs, Path(drafts))
            try:
                outcome: Completed | Failed = run.go()
            except StageFailed as fault:
                outcome = fault.failed
        said = "\n".join(f"[{name}] {text}" for name, text in programs.said)
        seconds = time.monotonic() - began
        return Execution(outcome=outcome, seconds=seconds, stdout=said, sandbox=self.name)

    def close(self) -> None:
        self._sandbox.close()

    def _place(self) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder
