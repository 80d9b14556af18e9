"""The tasks there are, by name."""

from __future__ import annotations

from evolver.agents.reranking_task import Reranking
from evolver.agents.task import PipelineTask
from evolver.core import TaskName
from evolver.tasks.ranking_task import Ranking
from evolver.tasks.retrieval_task import Retrieval
from evolver.tasks.task import AnyTask

TASKS: dict[TaskName, AnyTask] = {
    "retrieval": Retrieval(),
    "ranking": Ranking(),
    "reranking": Reranking(),
    "pipeline": PipelineTask(),
}


def task_named(name: TaskName) -> AnyTask:
    """The task of that name."""
    return TASKS[name]
