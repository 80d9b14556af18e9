"""A sandbox without walls or processes, for toy programs of these tests only."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
from safetensors.numpy import save

from evolver.contract import Budget, Params
from evolver.core import Completed, Execution, Failed, Job, Progress
from evolver.execute.queries import load_queries
from evolver.resources import folder

sys.path.append(str(folder("sandbox")))  # last, for it holds an `evolver` that stands for ours
from inside import lists, ranked, tables

TASKS: dict[str, Any] = {"retrieval": lists, "ranking": tables, "reranking": ranked}


class InProcess:
    """Counts what it ran, by the family of the program and the name of the view."""

    name = "in process"

    def __init__(self) -> None:
        self.ran: list[tuple[str, str]] = []
        self.jobs: list[Job] = []

    def run(self, job: Job, watch: Callable[[Progress], bool] | None = None) -> Execution:
        facts = json.loads((job.view / "view.json").read_text())
        task = TASKS[facts["task"]]
        module = ModuleType("candidate")
        exec(compile(job.candidate.source, "candidate.py", "exec"), module.__dict__)
        self.ran.append((module.FAMILY, job.view.name))  # type: ignore[attr-defined]
        self.jobs.append(job)
        try:
            outcome: Completed | Failed = self._outcome(job, facts, task, module)
        except ZeroDivisionError as error:
            outcome = Failed(kind="crash", reason=str(error))
        return Execution(outcome=outcome, seconds=0.1, sandbox=self.name)

    def _outcome(self, job: Job, facts: Any, task: Any, module: Any) -> Completed:
        declared = {n: t.default for n, t in getattr(module, "TUNABLES", {}).items()}
        params = Params(declared | dict(job.candidate.values), job.ablate)
        model = module.Model(params)
        fitting = model.fit(
            task.load(job.view, facts), Budget(seconds=0.75 * job.limits.seconds, seed=job.seed)
        )
        for _ in fitting or ():
            pass
        state = {name: np.asarray(value) for name, value in model.state().items()}
        fresh = module.Model(params)
        fresh.load(state)
        queries = load_queries(job.view)

        def ask(rows: np.ndarray) -> Any:
            header, payload = queries.block(rows).request(job.k)
            return task.answer(fresh, task.unpack(header, payload, facts), header, facts, job.seed)

        rows = np.arange(len(queries)) if job.served is None else job.served
        return Completed(
            answers=ask(rows),
            fit_seconds=1.0,
            score_seconds=0.5,
            latency_ms=np.array([2.0]),
            parameters=10,
            peak_bytes=100,
            weights=save(state) if job.want_weights else None,
            probed=None if job.probe is None else ask(rows[job.probe]),
        )

    def close(self) -> None: ...
