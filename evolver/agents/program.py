"""Runs one agent's program in a sandbox, or recalls what it brought back before."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evolver.agents.cache import Ran, StageCache, key_of
from evolver.core import Candidate, Completed, Failed, Job, Sandbox

Rows = NDArray[np.int64]


class StageFailed(Exception):  # noqa: N818 - a candidate's doing, turned into a Failed
    """An agent could not do its part."""

    def __init__(self, agent: str, failed: Failed) -> None:
        super().__init__(f"agent {agent}: {failed.reason}")
        self.failed = Failed(kind=failed.kind, reason=f"agent {agent}: {failed.reason}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What an agent is asked: the view that it learns from, how much of it is asked for, and
    `data`, the digest of what the view holds."""

    view: Path
    data: str
    queries: int
    items: int = 0
    k: int = 0
    served: Rows | None = None
    probe: Rows | None = None


class Programs:
    """Runs the programs of one job, one after the other, within the job's time.

    `trainings`: how many there will be. Each may take up to twice its share of what is left, so
    that none uses up what the others need.
    """

    def __init__(self, sandbox: Sandbox, cache: StageCache, job: Job, trainings: int) -> None:
        self._sandbox = sandbox
        self._cache = cache
        self._job = job
        self._trainings = trainings
        self._until = time.monotonic() + job.limits.seconds
        self.sandbox = sandbox.name
        self.said: list[tuple[str, str]] = []

    def run(
        self,
        name: str,
        candidate: Candidate,
        ask: Ask,
        *,
        write: Callable[[Path], None] = lambda view: None,
    ) -> Ran:
        """Train and ask one agent. `write`: makes its view, where it has to run. Raises StageFailed
        where it failed, or the time is up."""
        job = self._job
        served = None if ask.served is None else ask.served.tolist()
        key = key_of(
            ask.data, candidate.id, job.seed, job.device, ask.k, served, ask.queries, ask.items
        )
        fresh = job.want_weights or ask.probe is not None
        known = None if fresh else self._cache.get(key)
        share = 2.0 / self._trainings
        self._trainings = max(1, self._trainings - 1)
        if known is not None:
            return known
        left = self._until - time.monotonic()
        if left <= 0:
            raise StageFailed(name, self._late())
        write(ask.view)
        execution = self._sandbox.run(
            Job(
                candidate=candidate,
                view=ask.view,
                queries=ask.queries,
                items=ask.items,
                k=ask.k,
                seed=job.seed,
                limits=replace(job.limits, seconds=min(1.0, share) * left),
                served=ask.served,
                device=job.device,
                want_weights=job.want_weights,
                probe=ask.probe,
            )
        )
        self.said += [(name, text) for text in (execution.stdout, execution.stderr) if text]
        if isinstance(execution.outcome, Failed):
            raise StageFailed(name, execution.outcome)
        ran = ran_of(execution.outcome, ask.probe)
        self._cache.put(key, ran)
        return ran

    def _late(self) -> Failed:
        return Failed(
            kind="timeout",
            reason=f"the pipeline's {self._job.limits.seconds:.3g} s were over before it could run",
        )


def ran_of(outcome: Completed, probe: Rows | None) -> Ran:
    """What a program brought back. `probe`: the places that were asked for twice."""
    answers, odd = outcome.answers, None
    if probe is not None and outcome.probed is not None:
        odd = np.zeros(len(answers), dtype=bool)
        changed = outcome.probed != answers[probe]
        odd[probe] = changed.reshape(len(probe), -1).any(axis=1)
    return Ran(
        answers=answers,
        fit_seconds=outcome.fit_seconds,
        score_seconds=outcome.score_seconds,
        latency_ms=outcome.latency_ms,
        parameters=outcome.parameters,
        peak_bytes=outcome.peak_bytes,
        odd=odd,
        weights=outcome.weights,
    )
