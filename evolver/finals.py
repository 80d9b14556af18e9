"""The finals of a run: the best challengers before the promotion gate, then the sealed test.

Every measurement, reading and verdict is a row before anything is made of it, and each step asks
the archive first. Killed anywhere and called again, this ends as if it had not been disturbed:
nothing is trained twice, and one judgement of one pair is one reading however often it was begun.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evolver.ablations import declared, measure_ablations
from evolver.bench import Bench, OutOfTime, alarms_of
from evolver.core import (
    Entry,
    Execution,
    Failed,
    Job,
    PartName,
    Progress,
    Sandbox,
    Scored,
)
from evolver.credits import (
    CreditUnknown,
    best_pipeline,
    lines_of,
    measure_credits,
    start_of,
)
from evolver.errors import UsageError
from evolver.evaluate.canaries import Alarm, unaccepted
from evolver.evaluate.gate import Side, run_gate
from evolver.evaluate.promotion import Verdict, judge
from evolver.execute.choose import open_sandbox
from evolver.floor import best_baseline, seeds_of
from evolver.run import Run
from evolver.sealed import Tested, judge_test, user
from evolver.standing import Standing, challengers, standing_of
from evolver.suspicion import Suspicion
from evolver.text import one_line

Say = Callable[[str], None]
OpenSandbox = Callable[[PartName], Sandbox]
AGAINST_START = "start"
"""What the verdict of a promoted pipeline against where its search started is called."""
_LONGER = 1.5  # the promotion part is fitted on more rows than the search part
_START_SECONDS = 3.0  # for opening a sandbox


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How the finals ended. `unfinished` says why not everything was done, else it is empty;
    `tested` is the sealed test of what was promoted, where it was read now or before."""

    standing: Standing
    tested: Tested | None = None
    unfinished: str = ""


class Finals:
    """One sitting of the finals. `left`: seconds left of the run; `say` hears what is going on;
    `tick` is called after each training."""

    def __init__(
        self,
        run: Run,
        *,
        left: Callable[[], float] = lambda: float("inf"),
        say: Say = lambda line: None,
        tick: Callable[[], None] = lambda: None,
        sandbox: OpenSandbox | None = None,
    ) -> None:
        self._run = run
        self._left = left
        self._say = say
        self._tick = tick
        self._open = sandbox or (lambda part: _sandbox(run, part))

    def go(self, only: Entry | None = None, *, reread_test: bool = False) -> Outcome:
        """Judge whoever waits, or `only` the given one, until one is promoted; then read the sealed
        test for what is promoted. Raises UsageError where `only` is the incumbent itself."""
        tested, unfinished = None, ""
        try:
            self._judge(only)
            tested = self._test(reread_test=reread_test)
            self._ablations()
            self._pipeline()
        except OutOfTime as ending:
            unfinished = str(ending)
        return Outcome(standing=standing_of(self._run), tested=tested, unfinished=unfinished)

    # --- the gate -------------------------------------------------------------------------------

    def _judge(self, only: Entry | None) -> None:
        standing = standing_of(self._run)
        incumbent = standing.incumbent
        waiting = list(standing.waiting)
        if only is not None:
            waiting = self._chosen(only, standing)
        if incumbent is None or not waiting:
            return
        with self._bench("promotion") as bench:
            for challenger in waiting:
                self._say(
                    f"finals: {_name(challenger)} against {_name(incumbent)} on the promotion part"
                )
                verdict = self._verdict(bench, challenger, incumbent)
                self._say(str(verdict))
                if verdict.decision == "promote":
                    return

    def _chosen(self, only: Entry, standing: Standing) -> list[Entry]:
        """The one that a person chose, unless that was settled before."""
        incumbent = standing.incumbent
        if incumbent is None:
            raise UsageError(f"{self._run.folder} has no tuned baseline to beat; evolver resume it")
        promoted = {each.number for each in standing.judged if each.promoted}
        if only.number in promoted:
            return []
        if only.candidate.id == incumbent.candidate.id:
            raise UsageError(f"{_name(only)} is the incumbent itself; choose a challenger")
        for each in standing.judged:
            pair = (each.number, each.against)
            if pair == (only.number, incumbent.number) and each.evidence is not None:
                # the same seeds on the same users: the same answer, unless a price is accepted
                return [only] if self._run.config.promote.accept else []
        return [only]

    def _verdict(self, bench: Bench, challenger: Entry, incumbent: Entry) -> Verdict:
        """The last verdict on one pair; all are recorded."""
        run = self._run
        first = run.seed
        bench.measure_all([(incumbent, "promotion", first)])
        bench.measure(challenger, "promotion", first, probe=True)
        alarms = unaccepted(self._alarms(challenger), run.config.evaluate.accept_alarms)
        if alarms:
            reason = "; ".join(f"canary '{alarm.canary}': {alarm.detail}" for alarm in alarms)
            refusal = Verdict(decision="reject", reason=reason, evidence=None)
            self._record(challenger, incumbent, [refusal])
            return refusal
        sides: dict[Side, Entry] = {"challenger": challenger, "incumbent": incumbent}
        judgements = 0

        def measure(side: Side, number: int) -> Scored | Failed:
            return bench.measure(sides[side], "promotion", run.seed + number)

        def ahead(wanted: Sequence[tuple[Side, int]]) -> None:
            bench.measure_all([(sides[side], "promotion", run.seed + n) for side, n in wanted])

        def count() -> int:
            nonlocal judgements
            judgements += 1
            return count_reading(run, challenger, incumbent, judgements)

        verdicts = run_gate(
            measure,
            count,
            metric=run.metric,
            config=run.config.promote,
            slices=self._slices,
            seed=run.seed,
            ahead=ahead,
        )
        self._record(challenger, incumbent, verdicts)
        return verdicts[-1]

    def _record(self, challenger: Entry, incumbent: Entry, verdicts: Sequence[Verdict]) -> None:
        archive = self._run.archive
        known = {
            (row["number"], row["against"], row["verdict"], _reading(row["evidence"]))
            for row in archive.verdicts()
        }
        for verdict in verdicts:
            evidence = verdict.as_data()
            pair = challenger.number, incumbent.number
            key = (*pair, verdict.decision, _reading(evidence))
            if key not in known or verdict.evidence is None:
                archive.add_verdict(
                    challenger.number, incumbent.number, verdict.decision, str(verdict), evidence
                )

    @cached_property
    def _slices(self) -> dict[str, NDArray[np.bool_]]:
        found = self._run.task.slices(self._run.fold("promotion"))
        return {f"{each.group}: {each.name}": each.mask for each in found}

    # --- canaries in results --------------------------------------------------------------------

    def _alarms(self, challenger: Entry) -> list[Alarm]:
        """What the canaries said when it was measured, and whether it is too good on the search
        part."""
        found = alarms_of(self._run, challenger.number)
        baseline = best_baseline(self._run)
        best = None if baseline is None else baseline.score(self._run.metric)
        alarm = None if best is None else self._suspicion.of(challenger, best)
        return found if alarm is None or alarm in found else [*found, alarm]

    @cached_property
    def _suspicion(self) -> Suspicion:
        return Suspicion(self._run)

    # --- the sealed test ------------------------------------------------------------------------

    def _test(self, *, reread_test: bool) -> Tested | None:
        standing = standing_of(self._run)
        promotion = standing.promotion
        if promotion is None:
            return None
        archive = self._run.archive
        winner, incumbent = archive.entry(promotion.number), archive.entry(promotion.against)
        if winner is None or incumbent is None:
            raise RuntimeError(f"verdict on #{promotion.number}, which is not in the archive")
        before = archive.readings("test")
        if before and not standing.test_read and not reread_test:
            self._say("the sealed test was read before, for another candidate; it stays closed")
            return None
        if not standing.test_read:
            self._say(f"sealed test: {_name(winner)} beside {_name(incumbent)}, refitted")
        with self._bench("test") as bench:
            return judge_test(bench, winner, incumbent, why="promotion", force=reread_test)

    # --- what its parts bring -------------------------------------------------------------------

    def _ablations(self) -> None:
        promotion = standing_of(self._run).promotion
        entry = None if promotion is None else self._run.archive.entry(promotion.number)
        if entry is None or not declared(entry):
            return
        names = ", ".join(declared(entry))
        self._say(f"ablations: {_name(entry)} without {names}, one at a time, on the search part")
        with self._bench("search") as bench:
            for each in measure_ablations(bench, entry):
                self._say(f"  {each}")

    # --- pipelines ------------------------------------------------------------------------------

    def _pipeline(self) -> None:
        """What a pipeline that was promoted gains over where the search started, and who of the
        agents of the best one earned its reward."""
        run = self._run
        if run.task.name != "pipeline":
            return
        promotion = standing_of(run).promotion
        winner = None if promotion is None else run.archive.entry(promotion.number)
        start = start_of(run)
        if winner is not None and start is not None and start.number != winner.number:
            with self._bench("promotion") as bench:
                self._against_start(bench, winner, start)
        best = winner or best_pipeline(run)
        if best is None:
            return
        self._say(f"credits: {_name(best)} without its agents, on the search part")
        with self._bench("search") as bench:
            try:
                for line in lines_of(measure_credits(bench, best)):
                    self._say(f"  {line}")
            except CreditUnknown as reason:
                self._say(f"  they cannot be told: {reason}")

    def _against_start(self, bench: Bench, winner: Entry, start: Entry) -> None:
        run = self._run
        if any(row["verdict"] == AGAINST_START for row in run.archive.verdicts()):
            return
        seeds = seeds_of(run)
        bench.measure_all([(e, "promotion", seed) for e in (winner, start) for seed in seeds])
        sides = [
            [s for n in seeds if isinstance(s := bench.measure(e, "promotion", n), Scored)]
            for e in (winner, start)
        ]
        verdict = judge(
            *sides,
            metric=run.metric,
            reading=count_reading(run, winner, start, 1),
            config=run.config.promote,
            seed=run.seed,
        )
        said = f"Against the start, {_name(start)}: {verdict}"
        run.archive.add_verdict(winner.number, start.number, AGAINST_START, said, verdict.as_data())
        self._say(said)

    # --- measuring ------------------------------------------------------------------------------

    @contextmanager
    def _bench(self, part: PartName) -> Iterator[Bench]:
        sandbox = _Lazy(lambda: self._open(part))
        try:
            yield Bench(self._run, sandbox, left=self._left, told=self._told)
        finally:
            sandbox.close()

    def _told(self, entry: Entry, part: PartName, seed: int, evaluation: Scored | Failed) -> None:
        self._tick()
        head = f"  {_name(entry)}, {part} part, seed {seed}: "
        if isinstance(evaluation, Failed):
            self._say(f"{head}{evaluation.kind}: {evaluation.reason.splitlines()[0][:160]}")
        else:
            metric = self._run.metric
            self._say(f"{head}{metric} {evaluation.metrics[metric]:.4f}")


def count_reading(run: Run, challenger: Entry, incumbent: Entry, judgement: int) -> int:
    """Record that the promotion part is read for this judgement of this pair and say which reading
    that is, from 1. One that was recorded before, by a sitting that was killed, keeps its place."""
    numbers = [challenger.number, incumbent.number]
    why = f"gate, judgement {judgement}"

    def place() -> int | None:
        rows = run.archive.readings("promotion")
        found = (n for n, row in enumerate(rows, 1) if (row["numbers"], row["why"]) == wanted)
        return next(found, None)

    wanted = (numbers, why)
    known = place()
    if known is None:
        run.archive.read_part("promotion", numbers, who=user(), why=why, forced=False)
        known = place()
    if known is None:
        raise RuntimeError("a reading of the promotion part was recorded and is not there")
    return known


class Reserve:
    """How many seconds of the run's limit the search must leave to the finals.

    What they will take as far as can be told from what the trainings took, and never more than the
    planned share of the limit. Nothing where there is no limit.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._known: tuple[int, float] = (-1, 0.0)

    def __call__(self) -> float:
        limit = self._run.config.budget.seconds
        if limit is None:
            return 0.0
        entries = self._run.archive.count()
        if self._known[0] != entries:
            self._known = entries, self._expected()
        return min(self._known[1], limit * self._run.plan.finals_share)

    def _expected(self) -> float:
        run = self._run
        incumbent = best_baseline(run)
        if incumbent is None:
            return float("inf")
        held = incumbent.score(run.metric) or 0.0
        best = challengers(run, incumbent, most=run.config.promote.finalists)
        ahead = [entry for entry in best if (entry.score(run.metric) or 0.0) > held]
        # while nobody is ahead, enough for one that trains as long as the incumbent
        costs = [_cost(entry) for entry in ahead] or [_cost(incumbent)]
        gate = len(seeds_of(run)) * (_cost(incumbent) + sum(costs)) / run.plan.workers
        test = max(_cost(incumbent), *costs)
        return _LONGER * (gate + test) + 2 * _START_SECONDS


def _cost(entry: Entry) -> float:
    """What one training of it takes, in seconds; starting a worker included, where it was run."""
    found = entry.evaluation
    if not isinstance(found, Scored):
        return 0.0
    return max(entry.seconds, found.fit_seconds + found.score_seconds)


class _Lazy:
    """A sandbox that is opened when the first job comes: what is recorded needs none."""

    def __init__(self, make: Callable[[], Sandbox]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._sandbox: Sandbox | None = None
        self.name = "not opened"

    def run(self, job: Job, watch: Callable[[Progress], bool] | None = None) -> Execution:
        with self._lock:
            if self._sandbox is None:
                self._sandbox = self._make()
                self.name = self._sandbox.name
        return self._sandbox.run(job, watch)

    def close(self) -> None:
        with self._lock:
            if self._sandbox is not None:
                self._sandbox.close()


def _sandbox(run: Run, part: PartName) -> Sandbox:
    opened = open_sandbox(
        run.config.execute.model_copy(update={"device": run.plan.device}),
        warm_view=run.view(part),
        workers=run.plan.workers,
        threads=run.plan.threads,
        run=run.folder.name,
    )
    return run.staged(opened)


def _reading(evidence: Mapping[str, Any]) -> int | None:
    """Which reading of the promotion part a verdict rests on; None if on none."""
    found = evidence.get("evidence")
    return None if found is None else int(found["reading"])


def _name(entry: Entry) -> str:
    return f"{one_line(entry.candidate.name or entry.candidate.family, 40)} (#{entry.number})"
