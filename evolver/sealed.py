"""The sealed test: refit on everything else, read it once, beside the best tuned baseline.

The reading is recorded before anything is judged. Reading for the same candidate again shows the
recorded numbers; reading the test for another candidate is refused unless it is forced, and then
every later report shows it.
"""

from __future__ import annotations

import getpass
from dataclasses import dataclass

from evolver.bench import Bench
from evolver.core import (
    Completed,
    Entry,
    Evaluation,
    Execution,
    Failed,
    PartName,
    Sandbox,
    Scored,
    Stopped,
)
from evolver.errors import EvolverError, UsageError
from evolver.evaluate.check import Facts, inspect_source
from evolver.metrics.statistics import Comparison, paired_bootstrap
from evolver.run import Run


class CandidateFailed(EvolverError):  # noqa: N818 - `Failed` is the word for a candidate
    """The chosen candidate did not survive its refit; there is nothing to hand out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the test part said. `gain` is winner minus baseline, paired over users; None where the
    winner is the baseline. `execution` is the winner's refit; its outcome holds the weights."""

    winner: Entry
    scored: Scored
    baseline: Entry | None
    baseline_scored: Scored | None
    gain: Comparison | None
    execution: Execution
    outcome: Completed
    readings: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """What the test part said of a promoted candidate beside the incumbent."""

    scored: Evaluation
    incumbent: Evaluation
    gain: Comparison | None
    readings: int


def judge_test(
    bench: Bench, winner: Entry, incumbent: Entry, *, why: str, force: bool = False
) -> Tested:
    """Refit both on all but the test part and judge them on it; what is recorded stands.

    Raises UsageError when the test part was already read for others and `force` is False,
    `OutOfTime` when the run's time is up; the reading is then recorded and not counted again.
    """
    run = bench.run
    _claim(run, [winner.number, incumbent.number], force, why)
    bench.measure_all([(entry, "test", run.seed) for entry in (winner, incumbent)])
    ours, theirs = (bench.measure(entry, "test", run.seed) for entry in (winner, incumbent))
    both = isinstance(ours, Scored) and isinstance(theirs, Scored)
    return Tested(
        scored=ours,
        incumbent=theirs,
        gain=_compare(run, winner, incumbent) if both else None,
        readings=len(run.archive.readings("test")),
    )


def read_test(
    run: Run,
    sandbox: Sandbox,
    winner: Entry,
    baseline: Entry | None,
    *,
    force: bool = False,
    want_onnx: bool = False,
) -> Reading:
    """Refit the winner on all but the test part, for its weights and, where it is wanted, its ONNX
    graph, and judge it and the baseline; what is recorded stands.

    Raises UsageError when the test part was already read for another candidate and `force` is
    False, `CandidateFailed` when the winner's refit fails.
    """
    if baseline is not None and baseline.candidate.id == winner.candidate.id:
        baseline = None
    numbers = [winner.number, *([baseline.number] if baseline else [])]
    _claim(run, numbers, force, "export")
    execution, scored = _refit(run, sandbox, winner, want_onnx=want_onnx)
    outcome = execution.outcome
    if isinstance(outcome, Failed):
        raise CandidateFailed(
            f"candidate #{winner.number} failed when refitted for the test part: {outcome.kind}: "
            f"{outcome.reason}"
        )
    if isinstance(scored, Failed):
        raise CandidateFailed(f"candidate #{winner.number}: {scored.kind}: {scored.reason}")
    held = Bench(run, sandbox).measure(baseline, "test", run.seed) if baseline else None
    other = held if isinstance(held, Scored) else None
    return Reading(
        winner=winner,
        scored=scored,
        baseline=baseline,
        baseline_scored=other,
        gain=_compare(run, winner, baseline) if baseline and other else None,
        execution=execution,
        outcome=outcome,
        readings=len(run.archive.readings("test")),
    )


def hand_out_test(run: Run, why: str) -> None:
    """Record that the test part itself is about to leave the run, as one more reading of it.

    Raises UsageError while it is sealed: what may still be chosen must not be seen beside it.
    """
    before = run.archive.readings("test")
    if not before:
        raise UsageError(
            f"the test part of {run.folder} is sealed; it can be written once `evolver promote` or "
            "`evolver export` has read it"
        )
    numbers = before[-1]["numbers"]
    run.archive.read_part("test", numbers, who=user(), why=why, forced=False)


def _claim(run: Run, numbers: list[int], force: bool, why: str) -> None:
    before = run.archive.readings("test")
    if any(set(numbers) <= set(reading["numbers"]) for reading in before):
        return
    if before and not force:
        read = ", ".join(f"#{n}" for n in before[0]["numbers"])
        raise UsageError(
            f"the test part of {run.folder} was already read (for {read}); a second reading makes "
            "it a search part. Stay with that candidate, or give --reread-test, which reports show"
        )
    run.archive.read_part("test", numbers, who=user(), why=why, forced=bool(before))


def _refit(
    run: Run, sandbox: Sandbox, entry: Entry, *, want_onnx: bool
) -> tuple[Execution, Scored | Failed]:
    """Fit on everything before the test part; judge unless that is recorded already."""
    part: PartName = "test"
    facts = run.task.inspect(entry.candidate.source)
    if isinstance(facts, Failed):
        raise CandidateFailed(f"candidate #{entry.number}: {facts.reason}")
    served = run.task.served_rows(facts, run.fold(part))
    job = run.job(entry.candidate, part, served=served, want_weights=True, want_onnx=want_onnx)
    execution = sandbox.run(job)
    known = run.archive.evaluations(entry.number, part).get(run.seed)
    if known is not None and not isinstance(known, Stopped):
        return execution, known
    scored = run.task.evaluate(execution, run.fold(part), run.config.evaluate, served)
    run.archive.add(
        entry.number,
        scored,
        execution=execution,
        part=part,
        seed=run.seed,
        limits=job.limits,
        evaluator=run.task.evaluator,
    )
    return execution, scored


def _compare(run: Run, winner: Entry, baseline: Entry) -> Comparison:
    ours = run.archive.per_user(winner.number, "test", run.seed)[run.metric]
    theirs = run.archive.per_user(baseline.number, "test", run.seed)[run.metric]
    return paired_bootstrap(ours, theirs, seed=run.seed)


def user() -> str:
    """Who reads, for the record."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a user database
        return "unknown"


def facts_of(entry: Entry) -> Facts:
    """The static facts of a candidate that has been judged."""
    found = inspect_source(entry.candidate.source)
    if isinstance(found, Failed):
        raise CandidateFailed(f"candidate #{entry.number}: {found.reason}")
    return found
