"""What tasks share whose candidates are one program each, run in one sandbox."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from evolver import zoo
from evolver.config import EvaluateConfig, RunConfig
from evolver.core import Failed, Sandbox, TaskName
from evolver.evaluate.check import Facts, inspect_source
from evolver.zoo import Baseline


class OneProgram:
    """The part of `evolver.tasks.task.Task` that is the same for all of them."""

    name: TaskName

    def settled(self, config: RunConfig, data: Any, seconds: float) -> RunConfig:
        return config

    def inspect(self, source: str) -> Facts | Failed:
        return inspect_source(source, self.name)

    def known(self, baseline: Baseline) -> str:
        return zoo.source(baseline.name)

    def staged(
        self,
        sandbox: Sandbox,
        fold_of: Callable[[Path], Any],
        folder: Path,
        config: EvaluateConfig,
    ) -> Sandbox:
        return sandbox
