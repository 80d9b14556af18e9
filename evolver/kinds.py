"""The tasks there are, by name."""

from __future__ import annotations

from evolver.agents.task import PipelineTask
from evolver.core import TaskName
from evolver.errors import UsageError
from evolver.tasks.ranking_task import Ranking
from evolver.tasks.retrieval_task import Retrieval
from evolver.tasks.task import AnyTask

TASKS: dict[TaskName, AnyTask] = {
    "retrieval": Retrieval(),
    "ranking": Ranking(),
    "pipeline": PipelineTask(),
}


def task_named(name: TaskName) -> AnyTask:
    """The task of that name. Raises UsageError for one that cannot be evolved by itself."""
    if name not in TASKS:
        raise UsageError(
            f"{name} candidates are evolved inside a pipeline: --task pipeline; by themselves "
            f"there are {', '.join(TASKS)}"
        )
    return TASKS[name]
