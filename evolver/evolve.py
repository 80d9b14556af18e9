"""The search: select parents, propose, run, evaluate, archive, until the budget is spent.

Candidates are numbered. Candidate n is proposed from what is recorded of the candidates up to
n - lag and nothing else, so up to `lag` of them are in flight while the outcome depends on the
seed alone, not on which finished first. A run killed at any line resumes: what is recorded is
kept, what was proposed but not judged is run again as it was, and the rest follows.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from evolver.archive.store import Added, Archive
from evolver.bench import Bench, OutOfTime
from evolver.core import (
    Brief,
    Candidate,
    Evaluation,
    Execution,
    Failed,
    Proposer,
    Sandbox,
    Scored,
    Selector,
)
from evolver.errors import AwaitingAnswer, BudgetSpent
from evolver.evaluate.check import inspect_source
from evolver.propose import baselines
from evolver.run import Run
from evolver.tasks import retrieval

log = logging.getLogger(__name__)


class Ending(StrEnum):
    """Why a search ended. All but the last are normal."""

    CANDIDATES = "all candidates are done"
    TIME = "the time is up"
    MONEY = "the token or dollar budget is spent"
    ANSWERS = "requests in the mailbox wait for answers"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that a live view may want to show."""

    kind: str  # "began" | "finished"
    number: int
    candidate: Candidate
    evaluation: Evaluation | None = None
    added: Added | None = None
    seconds: float = 0.0


class Clock:
    """Wall-clock of the whole run, earlier sittings included; kept in the archive."""

    def __init__(self, archive: Archive, budget: Mapping[str, Any]) -> None:
        self._archive = archive
        self._session = archive.open_session(budget)
        self._before = archive.seconds_used(but=self._session)
        self._start = time.monotonic()
        self.limit: float | None = budget["seconds"]

    def used(self) -> float:
        return self._before + time.monotonic() - self._start

    def left(self) -> float:
        return float("inf") if self.limit is None else self.limit - self.used()

    def tick(self, ended: str | None = None) -> None:
        self._archive.tick(self._session, time.monotonic() - self._start, ended)


class Search:
    """One sitting of one run. `go` returns why it ended; faults of ours are raised.

    `notify` is told of each candidate, from several threads. `halt` is called when the search ends,
    to end whatever a proposer still waits for. `tuned` is called once, when the baselines are
    tuned, beside the search. `reserve` says how many seconds of the limit are not the search's.
    """

    def __init__(
        self,
        run: Run,
        *,
        sandbox: Sandbox,
        tuning: Proposer,
        searching: Proposer,
        selector: Selector,
        notify: Callable[[Event], None] = lambda event: None,
        halt: Callable[[], None] = lambda: None,
        tuned: Callable[[Bench], object] | None = None,
        reserve: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._run = run
        self._archive = run.archive
        self._sandbox = sandbox
        self._tuning = tuning
        self._searching = searching
        self._selector = selector
        self._notify = notify
        self._on_halt = halt
        self._tuned = tuned
        self._reserve = reserve
        self._slots = threading.BoundedSemaphore(run.plan.workers)
        self._stop = threading.Event()
        self._spent = False
        self._awaiting: set[int] = set()
        self._fault: BaseException | None = None
        self.clock = self._clock = Clock(run.archive, run.config.budget.model_dump())

    def go(self) -> Ending:
        """Search until the budget is spent."""
        steps: list[Future[None]] = []
        # one more than candidates in flight: what follows the baselines waits for the last of them
        with ThreadPoolExecutor(self._run.plan.lag + 1, thread_name_prefix="candidate") as pool:
            try:
                beside = False
                for number in range(self._run.config.budget.candidates):
                    if not beside and not self._tunes_baseline(number):
                        steps.append(pool.submit(self._beside))
                        beside = True
                    if self._archive.entry(number) is not None:
                        continue
                    if not self._ready(number):
                        break
                    steps.append(pool.submit(self._step, number))
                while not self._over() and not all(step.done() for step in steps):
                    self._archive.wait(0.2)
                ending = self._ending()
            except KeyboardInterrupt:
                ending = Ending.INTERRUPTED
            finally:
                self._halt()
        if self._fault is not None:
            self._clock.tick(f"fault: {self._fault}")
            raise self._fault
        self._clock.tick(ending.value)
        return ending

    # --- one candidate --------------------------------------------------------------------------

    def _step(self, number: int) -> None:
        try:
            candidate = self._archive.candidate(number)
            if candidate is None:
                proposer = self._tuning if self._tunes_baseline(number) else self._searching
                proposal = proposer.propose(self._brief(number))
                if isinstance(proposal, Failed):
                    self._begin(number, Candidate(source="", proposer=proposer.name))
                    self._add(number, proposal, None)
                    return
                candidate = proposal
                self._begin(number, candidate)
            self._judge(number, candidate)
        except AwaitingAnswer:
            self._awaiting.add(number)
            self._archive.wake()
        except BudgetSpent:
            self._spent = True
            self._archive.wake()
        except BaseException as fault:  # noqa: BLE001 - carried to the main thread, raised there
            if not self._stop.is_set():  # killed workers complain; that is not news
                self._fault = fault
                self._halt()

    def _beside(self) -> None:
        """What is measured when the baselines are tuned; it changes nothing that is proposed."""
        if self._tuned is None:
            return
        try:
            while not self._over() and not self._baselines_settled():
                self._archive.wait(0.2)
            self._tuned(
                Bench(
                    self._run,
                    self._sandbox,
                    left=self._left,
                    slots=self._slots,
                    stopped=self._stop.is_set,
                    told=lambda *_: self._clock.tick(),
                )
            )
        except OutOfTime as ending:
            log.info("not measured after the baselines: %s", ending)
        except BaseException as fault:  # noqa: BLE001 - carried to the main thread, raised there
            if not self._stop.is_set():
                self._fault = fault
                self._halt()

    def _baselines_settled(self) -> bool:
        slots = self._run.plan.baseline_slots
        begun = {n: self._archive.candidate(n) for n in range(slots)}
        return all(
            self._archive.entry(n) is not None
            for n, candidate in begun.items()
            if candidate is not None and candidate.proposer == baselines.PROPOSER
        )

    def _judge(self, number: int, candidate: Candidate) -> None:
        known = self._archive.earlier(candidate, "search", self._run.seed, retrieval.EVALUATOR)
        if known is not None:
            self._add(number, known[1], None, same_as=known[0])
            return
        facts = inspect_source(candidate.source)
        if isinstance(facts, Failed):
            self._add(number, facts, None)
            return
        fold = self._run.fold("search")
        served = retrieval.served_rows(facts, fold)
        with self._slots:
            left = self._left()
            if self._stop.is_set() or left <= 0:
                return
            job = self._run.job(candidate, "search", served=served)
            cut = left < job.limits.seconds
            if cut:
                job = replace(job, limits=replace(job.limits, seconds=left))
            self._notify(Event(kind="began", number=number, candidate=candidate))
            execution = self._sandbox.run(job)
        if self._stop.is_set() or (cut and _timed_out(execution)):
            return  # the run's end, not the candidate's fault: it stays open for `resume`
        evaluation = retrieval.evaluate(execution, fold, self._run.config.evaluate, served)
        self._add(number, evaluation, execution)

    def _brief(self, number: int) -> Brief:
        history = self._archive.history(number - self._run.plan.lag)
        usd, tokens, _ = self._archive.spent()
        budget = self._run.config.budget
        seed = self._run.seed + number
        return Brief(
            number=number,
            seed=self._run.seed,
            task=self._run.config.task,
            metric=self._run.config.evaluate.metric,
            profile=self._run.profile,
            history=history,
            parents=self._selector.select(history, seed),
            limits=self._run.limits,
            candidates_left=budget.candidates - number,
            seconds_left=self._left(),
            usd_left=None if budget.usd is None else budget.usd - usd,
            tokens_left=None if budget.tokens is None else budget.tokens - tokens,
        )

    def _tunes_baseline(self, number: int) -> bool:
        """Baselines come first; under a time limit they get their share of it and no more."""
        if number >= self._run.plan.baseline_slots:
            return False
        limit = self._clock.limit
        late = (
            limit is not None
            and self._clock.used() > (limit - self._reserve()) * self._run.config.baseline_share
        )
        before = (self._archive.candidate(n) for n in range(number))
        begun = any(c is not None and c.proposer != baselines.PROPOSER for c in before)
        return not late and not begun

    # --- recording ------------------------------------------------------------------------------

    def _begin(self, number: int, candidate: Candidate) -> None:
        if not self._stop.is_set():
            self._archive.begin(number, candidate)

    def _add(
        self,
        number: int,
        evaluation: Evaluation,
        execution: Execution | None,
        same_as: int | None = None,
    ) -> None:
        if self._stop.is_set():
            return
        added = self._archive.add(
            number,
            evaluation,
            execution=execution,
            part="search",
            seed=self._run.seed,
            limits=self._run.limits,
            evaluator=retrieval.EVALUATOR,
            same_as=same_as,
        )
        self._clock.tick()
        candidate = self._archive.candidate(number)
        if candidate is None:
            raise RuntimeError(f"candidate {number} vanished from the archive")
        seconds = execution.seconds if execution else 0.0
        log.info("%s", _line(number, candidate, evaluation, self._archive.metric))
        self._notify(
            Event(
                kind="finished",
                number=number,
                candidate=candidate,
                evaluation=evaluation,
                added=added,
                seconds=seconds,
            )
        )

    # --- ending ---------------------------------------------------------------------------------

    def _ready(self, number: int) -> bool:
        """Wait until `number` may be proposed. False when the search is over before that."""
        needed = number - self._run.plan.lag
        while not self._over() and not self._spent:
            if self._archive.settled_through(needed):
                return True
            if any(open_number <= needed for open_number in self._awaiting):
                return False  # it stays unsettled until somebody answers
            self._archive.wait(0.2)
        return False

    def _over(self) -> bool:
        return self._stop.is_set() or self._left() <= 0

    def _left(self) -> float:
        """Seconds that the search may still use."""
        return self._clock.left() - self._reserve()

    def _all_done(self) -> bool:
        return self._archive.settled_through(self._run.config.budget.candidates - 1)

    def _halt(self) -> None:
        self._stop.set()
        self._on_halt()
        self._sandbox.close()
        self._archive.wake()

    def _ending(self) -> Ending:
        if self._all_done():
            return Ending.CANDIDATES
        if self._awaiting and not self._over():
            return Ending.ANSWERS
        return Ending.MONEY if self._spent else Ending.TIME


def _timed_out(execution: Execution) -> bool:
    return isinstance(execution.outcome, Failed) and execution.outcome.kind == "timeout"


def _line(number: int, candidate: Candidate, evaluation: Evaluation, metric: str) -> str:
    head = f"#{number} {candidate.name or candidate.family} ({candidate.proposer})"
    if isinstance(evaluation, Scored):
        return f"{head}: {metric} {evaluation.metrics[metric]:.4f}, {evaluation.fit_seconds:.1f} s"
    return f"{head}: {evaluation.kind}: {evaluation.reason.splitlines()[0][:200]}"
