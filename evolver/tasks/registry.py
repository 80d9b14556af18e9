"""The tasks there are, by name."""

from __future__ import annotations

from evolver.core import TaskName
from evolver.tasks.ranking_task import Ranking
from evolver.tasks.retrieval_task import Retrieval
from evolver.tasks.task import AnyTask

TASKS: dict[TaskName, AnyTask] = {"retrieval": Retrieval(), "ranking": Ranking()}


def task_named(name: TaskName) -> AnyTask:
    """The task of that name."""
    return TASKS[name]
