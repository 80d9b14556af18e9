"""The search: select parents, propose, run, evaluate, archive, until the budget is spent.

Candidates are numbered. Candidate n is proposed, and sent from rung to rung of the cascade, from
what is recorded of the candidates up to n - lag and nothing else, so up to `lag` of them are in
flight while the outcome depends on the seed alone, not on which finished first. A run killed at any
line resumes: what is recorded is kept, what was proposed but not judged is run again as it was, and
the rest follows.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from evolver.archive.store import Added, Archive
from evolver.bench import Bench, OutOfTime
from evolver.core import (
    Brief,
    Candidate,
    Entry,
    Evaluation,
    Execution,
    Failed,
    Fidelity,
    Limits,
    Proposer,
    Sandbox,
    Scored,
    Selector,
    Stopped,
    Unusable,
)
from evolver.errors import AwaitingAnswer, BudgetSpent, NothingPays
from evolver.evaluate import cascade
from evolver.evaluate.check import Facts
from evolver.phases import Phase, Phases
from evolver.propose import baselines
from evolver.propose.survivors import SurvivorsProposer
from evolver.run import Run
from evolver.slots import Slots

log = logging.getLogger(__name__)


class Ending(StrEnum):
    """Why a search ended. All but the last are normal."""

    CANDIDATES = "all candidates are done"
    TIME = "the time is up"
    MONEY = "the token or dollar budget is spent"
    SATURATED = "neither refining an agent nor recomposing pays any more"
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
    fidelity: Fidelity = "full"


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
    `heed` adds to entries what reviewers think of them, before each proposal.
    """

    def __init__(
        self,
        run: Run,
        *,
        sandbox: Sandbox,
        tuning: Proposer,
        searching: Proposer,
        selector: Selector,
        survivors: SurvivorsProposer | None = None,
        notify: Callable[[Event], None] = lambda event: None,
        halt: Callable[[], None] = lambda: None,
        tuned: Callable[[Bench], object] | None = None,
        reserve: Callable[[], float] = lambda: 0.0,
        heed: Callable[[Sequence[Entry]], Sequence[Entry]] = lambda history: history,
    ) -> None:
        self._run = run
        self._archive = run.archive
        self._sandbox = sandbox
        self._tuning = tuning
        self._searching = searching
        self._survivors = survivors
        self._selector = selector
        self._notify = notify
        self._on_halt = halt
        self._tuned = tuned
        self._reserve = reserve
        self._heed = heed
        self._slots = Slots(run.plan.workers)
        self._stop = threading.Event()
        self._spent: Ending | None = None
        self._search_from = 0
        self._awaiting: set[int] = set()
        self._fault: BaseException | None = None
        self.clock = Clock(run.archive, run.config.budget.model_dump())
        self._phases = Phases(
            run.plan,
            run.archive,
            [budget.get("candidates", 0) for budget in run.archive.budgets()],
            baseline_share=run.config.baseline_share,
            limit=self.clock.limit,
            used=self.clock.used,
            reserve=reserve,
        )

    def go(self) -> Ending:
        """Search until the budget is spent."""
        steps: list[Future[None]] = []
        # one more than candidates in flight: what follows the baselines waits for the last of them
        with ThreadPoolExecutor(self._run.plan.lag + 1, thread_name_prefix="candidate") as pool:
            try:
                beside = False
                for number in range(self._run.config.budget.candidates):
                    settled = self._archive.entry(number) is not None
                    if not settled and not self._ready(number - self._run.plan.lag):
                        break
                    phase, tuning = self._phase(number)
                    if not beside and phase != "baselines":
                        self._search_from = number
                        steps.append(pool.submit(self._beside))
                        beside = True
                    if settled:
                        continue
                    if tuning is not None and not self._ready(tuning[0] - 1):
                        break
                    steps.append(pool.submit(self._step, number, phase, tuning))
                while not self._over() and not all(step.done() for step in steps):
                    self._archive.wait(0.2)
                ending = self._ending()
            except KeyboardInterrupt:
                ending = Ending.INTERRUPTED
            finally:
                self._halt()
        if self._fault is not None:
            self.clock.tick(f"fault: {self._fault}")
            raise self._fault
        self.clock.tick(ending.value)
        return ending

    # --- one candidate --------------------------------------------------------------------------

    def _phase(self, number: int) -> tuple[Phase, tuple[int, int] | None]:
        """What a number is, or was, for; and where survivors are tuned, if it is to tune one."""
        candidate = self._archive.candidate(number)
        if candidate is not None:
            return ("baselines" if candidate.proposer == baselines.PROPOSER else "search"), None
        phase = self._phases.of(number)
        return phase, self._phases.tuning(number) if phase == "tuning" else None

    def _step(self, number: int, phase: Phase, tuning: tuple[int, int] | None) -> None:
        try:
            candidate = self._archive.candidate(number)
            if candidate is None:
                brief = self._brief(number, tuning)
                proposal = self._proposer(phase, brief).propose(brief)
                if isinstance(proposal, Unusable):
                    self._begin(number, proposal.asked)
                    self._add(number, proposal.why, None)
                    return
                candidate = proposal
                self._begin(number, candidate)
            self._judge(number, candidate)
        except AwaitingAnswer:
            self._awaiting.add(number)
            self._archive.wake()
        except NothingPays:
            self._spent = Ending.SATURATED
            self._archive.wake()
        except BudgetSpent:
            self._spent = Ending.MONEY
            self._archive.wake()
        except BaseException as fault:  # noqa: BLE001 - carried to the main thread, raised there
            self._carry(fault)

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
                    told=lambda *_: self.clock.tick(),
                )
            )
        except OutOfTime as ending:
            log.info("not measured after the baselines: %s", ending)
        except BaseException as fault:  # noqa: BLE001 - carried to the main thread, raised there
            self._carry(fault)

    def _carry(self, fault: BaseException) -> None:
        if not self._stop.is_set():  # killed workers complain; that is not news
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

    def _proposer(self, phase: Phase, brief: Brief) -> Proposer:
        if phase == "baselines":
            return self._tuning
        if phase == "tuning" and self._survivors is not None and self._survivors.can(brief):
            return self._survivors
        return self._searching

    def _brief(self, number: int, tuning: tuple[int, int] | None) -> Brief:
        through = number - self._run.plan.lag
        if tuning is not None:  # all that the search found was waited for
            through = max(through, tuning[0] - 1)
        history = self._heed(self._archive.history(through))
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
            search_from=self._search_from,
            seconds_left=self._left(),
            usd_left=None if budget.usd is None else budget.usd - usd,
            tokens_left=None if budget.tokens is None else budget.tokens - tokens,
            tuning=tuning,
        )

    # --- rungs ----------------------------------------------------------------------------------

    def _judge(self, number: int, candidate: Candidate) -> None:
        """Climb the rungs of the cascade until one of them settles it."""
        facts = self._run.task.inspect(candidate.source)
        if isinstance(facts, Failed):
            self._add(number, facts, None)
            return
        through = number - self._run.plan.lag
        for rung in self._run.plan.rungs:
            if rung == "smoke" and cascade.proven(candidate, self._archive.history(through)):
                continue
            if not self._climb(number, candidate, facts, rung):
                return

    def _climb(self, number: int, candidate: Candidate, facts: Facts, rung: Fidelity) -> bool:
        """Judge it on one rung, or recall what was judged; whether it goes on to the next."""
        through, seed = number - self._run.plan.lag, self._run.seed
        known = self._archive.earlier(candidate, "search", seed, self._run.task.evaluator, rung)
        if known is not None:
            same, evaluation = known
            evaluation = self._decided(candidate, evaluation, rung, through)
            return self._add(number, evaluation, None, same_as=same, fidelity=rung)
        fold = self._run.fold("search", rung)
        served = self._run.task.served_rows(facts, fold)
        with self._slots.turn(number):
            left = self._left()
            if self._stop.is_set() or left <= 0:
                return False
            job = self._run.job(candidate, "search", served=served, fidelity=rung)
            cut = left < job.limits.seconds
            if cut:
                job = replace(job, limits=replace(job.limits, seconds=left))
            self._notify(Event(kind="began", number=number, candidate=candidate, fidelity=rung))
            watch = self._watch(candidate, rung, through)
            execution = self._sandbox.run(job, watch)
        if self._stop.is_set() or (cut and _timed_out(execution)):
            return False  # the run's end, not the candidate's fault: it stays open for `resume`
        found = self._run.task.evaluate(execution, fold, self._run.config.evaluate, served)
        evaluation = cascade.said(found, rung, watch)
        evaluation = self._decided(candidate, evaluation, rung, through)
        return self._add(number, evaluation, execution, fidelity=rung, limits=job.limits)

    def _watch(self, candidate: Candidate, rung: Fidelity, through: int) -> cascade.Watch | None:
        early = self._run.config.cascade.early_stopping and rung == "full"
        curves = self._archive.curves(candidate.source, through) if early else ()
        return cascade.watch(rung, curves)

    def _decided(
        self, candidate: Candidate, evaluation: Evaluation, rung: Fidelity, through: int
    ) -> Evaluation:
        """At low fidelity: whether it is worth the whole training. A baseline as it comes is: it
        is what others are measured by, and some show little on less data."""
        if rung != "low" or baselines.is_default(candidate):
            return evaluation
        earlier = self._archive.low_scores(through)
        return cascade.decided(
            evaluation, earlier, self._run.config.cascade.eta, self._archive.metric
        )

    # --- recording ------------------------------------------------------------------------------

    def _begin(self, number: int, candidate: Candidate) -> None:
        if not self._stop.is_set():
            self._archive.begin(number, candidate)

    def _add(
        self,
        number: int,
        evaluation: Evaluation,
        execution: Execution | None,
        *,
        same_as: int | None = None,
        fidelity: Fidelity = "full",
        limits: Limits | None = None,
    ) -> bool:
        """Record an evaluation; whether the candidate goes on to the next rung."""
        if self._stop.is_set():
            return False
        added = self._archive.add(
            number,
            evaluation,
            execution=execution,
            part="search",
            seed=self._run.seed,
            limits=limits or self._run.limits,
            evaluator=self._run.task.evaluator,
            same_as=same_as,
            fidelity=fidelity,
        )
        self.clock.tick()
        if added is Added.PASSED:
            return True
        entry = self._archive.entry(number)
        if entry is None:
            raise RuntimeError(f"candidate {number} vanished from the archive")
        candidate = entry.candidate
        log.info("%s", _line(number, candidate, evaluation, self._archive.metric))
        self._notify(
            Event(
                kind="finished",
                number=number,
                candidate=candidate,
                evaluation=evaluation,
                added=added,
                seconds=entry.seconds,
                fidelity=fidelity,
            )
        )
        return False

    # --- ending ---------------------------------------------------------------------------------

    def _ready(self, needed: int) -> bool:
        """Wait until all up to `needed` is recorded. False when the search is over before that."""
        while not self._over() and self._spent is None:
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
        return self.clock.left() - self._reserve()

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
        return self._spent or Ending.TIME


def _timed_out(execution: Execution) -> bool:
    return isinstance(execution.outcome, Failed) and execution.outcome.kind == "timeout"


def _line(number: int, candidate: Candidate, evaluation: Evaluation, metric: str) -> str:
    head = f"#{number} {candidate.name or candidate.family} ({candidate.proposer})"
    if isinstance(evaluation, Scored):
        return f"{head}: {metric} {evaluation.metrics[metric]:.4f}, {evaluation.fit_seconds:.1f} s"
    if isinstance(evaluation, Stopped):
        return f"{head}: {evaluation.reason}"
    return f"{head}: {evaluation.kind}: {evaluation.reason.splitlines()[0][:200]}"
