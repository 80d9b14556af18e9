"""Trains recorded candidates again: with other seeds, on other parts. Never twice the same."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from evolver.archive.findings import Finding, ablation
from evolver.core import (
    Completed,
    Entry,
    Execution,
    Failed,
    Job,
    Limits,
    PartName,
    Sandbox,
    Scored,
    Stopped,
)
from evolver.errors import EvolverError
from evolver.evaluate.behaviour import other_batch
from evolver.evaluate.canaries import RESULT_CANARIES, Alarm
from evolver.run import Run
from evolver.slots import Slots

CANARIES = "canaries"
"""What a finding about a candidate's behaviour is called."""
Task = tuple[Entry, PartName, int]


class OutOfTime(EvolverError):  # noqa: N818 - an ending, not an error
    """The run's time was up before something could be measured. Nobody is to blame."""


class Bench:
    """Measures entries of one run in one sandbox. Safe to use from threads.

    `left` says how many seconds of the run are left, `slots` bounds how many train at once,
    `stopped` says whether workers are being killed, whose words then count for nothing; `told`
    hears of each new measurement, when it is recorded.
    """

    def __init__(
        self,
        run: Run,
        sandbox: Sandbox,
        *,
        left: Callable[[], float] = lambda: float("inf"),
        slots: Slots | None = None,
        stopped: Callable[[], bool] = lambda: False,
        told: Callable[[Entry, PartName, int, Scored | Failed], None] = lambda *_: None,
    ) -> None:
        self.run = run
        self._sandbox = sandbox
        self._left = left
        self._slots = slots or Slots(run.plan.workers)
        self._stopped = stopped
        self._told = told
        self._interrupted = False

    def known(self, entry: Entry, part: PartName, seed: int) -> Scored | Failed | None:
        """What is recorded of a whole training. A timeout is not: it may have been the machine's
        fault."""
        found = self.run.archive.evaluations(entry.number, part).get(seed)
        timed_out = isinstance(found, Failed) and found.kind == "timeout"
        return None if timed_out or isinstance(found, Stopped) else found

    def measure(
        self, entry: Entry, part: PartName, seed: int, *, probe: bool = False
    ) -> Scored | Failed:
        """What is recorded, else what is measured now, and recorded. With `probe` the canaries in
        results look at it, and a finding is recorded with it.

        Raises `OutOfTime` when the run's time is up first.
        """
        known = self.known(entry, part, seed)
        if known is not None:
            return known
        facts = self.run.task.inspect(entry.candidate.source)
        if isinstance(facts, Failed):  # it was judged before by an evolver that let it pass
            return facts
        run, fold = self.run, self.run.fold(part)
        served = run.task.served_rows(facts, fold)
        whole = run.task.question(fold, run.config.evaluate).queries
        asked = whole if served is None else len(served)
        job = run.job(
            entry.candidate,
            part,
            served=served,
            seed=seed,
            probe=other_batch(asked, seed) if probe else None,
        )
        execution, limits = self._train(job)
        evaluation = run.task.evaluate(execution, fold, run.config.evaluate, served)
        findings = []
        if job.probe is not None and not isinstance(evaluation, Failed):
            findings.append(self._canaries(entry, execution, part, seed, served))
        run.archive.add(
            entry.number,
            evaluation,
            execution=execution,
            part=part,
            seed=seed,
            limits=limits,
            evaluator=run.task.evaluator,
            findings=findings,
        )
        self._told(entry, part, seed, evaluation)
        return evaluation

    def ablate(self, entry: Entry, name: str, seed: int) -> None:
        """Measure an entry without one of its declared parts, on the search part; a finding is
        recorded, unless one was before. Raises `OutOfTime`."""
        run = self.run
        facts = run.task.inspect(entry.candidate.source)
        if seed in run.archive.findings.ablations(entry.number, name) or isinstance(facts, Failed):
            return
        fold = run.fold("search")
        served = run.task.served_rows(facts, fold)
        job = run.job(entry.candidate, "search", served=served, seed=seed, ablate=name)
        execution, _ = self._train(job)
        found = run.task.evaluate(execution, fold, run.config.evaluate, served)
        run.archive.findings.add(
            Finding(
                number=entry.number,
                about=ablation(name),
                part="search",
                seed=seed,
                data={"failed": f"{found.kind}: {found.reason[:300]}"}
                if isinstance(found, Failed)
                else {"metrics": dict(found.metrics)},
                values=None if isinstance(found, Failed) else found.per_user[run.metric],
            )
        )
        self._told(entry, "search", seed, found)

    def ablate_all(self, tasks: Sequence[tuple[Entry, str, int]]) -> None:
        """Measure several variants side by side, as `measure_all` does."""
        self._side_by_side([partial(self.ablate, *task) for task in tasks])

    def _train(self, job: Job) -> tuple[Execution, Limits]:
        """Run a job within what is left of the run's time."""
        with self._slots.turn(0):
            left = self._left()
            if left <= 0:
                raise OutOfTime("the time is up")
            cut = left < job.limits.seconds
            limits = replace(job.limits, seconds=left) if cut else job.limits
            execution = self._sandbox.run(replace(job, limits=limits))
        if self._interrupted or self._stopped():
            raise OutOfTime("it was stopped")
        outcome = execution.outcome
        if cut and isinstance(outcome, Failed) and outcome.kind == "timeout":
            raise OutOfTime("the time is up")
        return execution, limits

    def measure_all(self, tasks: Sequence[Task], probe: Collection[Task] = ()) -> None:
        """Measure several side by side, those in `probe` with a look by the canaries. The first
        fault, or `OutOfTime`, is raised once all that was begun has ended."""
        missing = [task for task in tasks if self.known(*task) is None]
        self._side_by_side([partial(self.measure, *t, probe=t in probe) for t in missing])

    def _side_by_side(self, steps: Sequence[Callable[[], object]]) -> None:
        if not steps:
            return
        with ThreadPoolExecutor(len(steps), thread_name_prefix="bench") as pool:
            begun = [pool.submit(step) for step in steps]
            try:
                for each in begun:
                    each.result()
            except KeyboardInterrupt:
                self._interrupted = True
                self._sandbox.close()
                raise

    def _canaries(
        self,
        entry: Entry,
        execution: Execution,
        part: PartName,
        seed: int,
        served: NDArray[np.int64] | None,
    ) -> Finding:
        """What the canaries in results say of answers that have just come back."""
        outcome = execution.outcome
        if not isinstance(outcome, Completed) or outcome.probed is None:
            raise RuntimeError(f"the sandbox did not ask #{entry.number} a second time")
        run = self.run
        alarms = run.task.alarms(
            outcome,
            probed=other_batch(len(outcome.answers), seed),
            fold=run.fold(part),
            config=run.config.evaluate,
            served=served,
            seed=run.seed,
        )
        return Finding(
            number=entry.number,
            about=CANARIES,
            part=part,
            seed=seed,
            data={
                "asked": RESULT_CANARIES[:2],
                "alarms": [as_data(alarm) for alarm in alarms],
            },
        )


def alarms_of(run: Run, number: int) -> list[Alarm]:
    """What the canaries in results are recorded to have said of a candidate."""
    return [
        Alarm(**alarm)
        for finding in run.archive.findings.of(number)
        if finding.about == CANARIES
        for alarm in finding.data["alarms"]
    ]


def as_data(alarm: object) -> dict[str, str]:
    """An alarm as JSON."""
    return {name: str(getattr(alarm, name)) for name in ("canary", "severity", "detail")}
