"""Agents of a recorded run: checked by running them, and promoted when they win twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from evolver.agents.criteria import Criterion, Judged, check_agent
from evolver.agents.document import Document
from evolver.agents.promotion import VERDICTS, AgentVerdict, judge_agent
from evolver.agents.registry import Registry
from evolver.agents.rewards import INNER
from evolver.agents.rounds import REFINE, step_of
from evolver.agents.staged import Staged
from evolver.bench import Bench
from evolver.core import Candidate, Entry, Failed, Sandbox, Scored
from evolver.credits import document_of
from evolver.errors import UsageError
from evolver.finals import count_reading
from evolver.run import Run


def serving(entry: Entry, agent: str) -> Document:
    """The entry's pipeline. Raises UsageError where the agent does not serve in it."""
    document = document_of(entry)
    if agent not in document.serving:
        raise UsageError(
            f"{agent!r} does not serve in #{entry.number}; there are {', '.join(document.serving)}"
        )
    return document


def check(run: Run, sandbox: Sandbox, entry: Entry, agent: str) -> list[Criterion]:
    """The three criteria, by running the entry's pipeline on the search part and variants of it."""
    fold = run.fold("search")

    def judge(document: Document, *, again: bool = False) -> Judged | Failed:
        job = run.job(
            Candidate(source=document.text()),
            "search",
            served=None,
            probe=np.arange(1) if again else None,  # whoever is asked twice is trained anew
        )
        execution = sandbox.run(job)
        found = run.task.evaluate(execution, fold, run.config.evaluate, None)
        if isinstance(found, Failed):
            return found
        if not isinstance(execution.outcome, Staged):
            raise TypeError("a pipeline was run by a sandbox for single candidates")
        return Judged(staged=execution.outcome, scored=found)

    return check_agent(serving(entry, agent), agent, judge, seed=run.seed)


def challenge(run: Run, agent: str, number: int | None = None) -> tuple[Entry, Entry]:
    """(challenger, incumbent): a refined version of the agent and the pipeline that it was refined
    in. Without a number the version that is best alone, on the search part.

    Raises UsageError where there is none.
    """
    refined = [e for e in run.archive.history() if _refines(e, agent)]
    if number is not None:
        refined = [e for e in refined if e.number == number]
    pairs = [(e, base) for e in refined if (base := _base(run, e)) is not None]
    if not pairs:
        what = f"#{number} is no version" if number is not None else "there is no version"
        raise UsageError(f"{what} of agent {agent!r} in {run.folder} that was refined and scored")
    return max(pairs, key=lambda pair: (pair[0].score(f"{INNER}{agent}") or 0.0, -pair[0].number))


def promote(
    bench: Bench,
    registry: Registry,
    agent: str,
    pair: tuple[Entry, Entry],
    say: Callable[[str], None] = lambda line: None,
) -> AgentVerdict:
    """Judge a version on the promotion part, with more seeds while that could settle it; record the
    verdict in the run and in the registry. Raises `OutOfTime`."""
    run, (challenger, incumbent) = bench.run, pair
    config, judgement = run.config.promote, 0
    wanted = config.seeds
    while True:
        seeds = [run.seed + n for n in range(wanted)]
        bench.measure_all([(e, "promotion", seed) for e in pair for seed in seeds])
        judgement += 1
        verdict = judge_agent(
            agent,
            *(_scored(bench, entry, seeds) for entry in pair),
            metric=run.metric,
            reading=count_reading(run, challenger, incumbent, judgement),
            config=config,
            seed=run.seed,
        )
        say(str(verdict))
        more = max(verdict.inner.seeds, verdict.outer.seeds)
        if verdict.decision != "extend" or more <= wanted:
            break
        wanted = more
    if verdict.decision == "extend":
        verdict = replace(verdict, decision="refuse", reason="it cannot be told from luck")
    run.archive.add_verdict(
        challenger.number,
        incumbent.number,
        VERDICTS[verdict.decision],
        str(verdict),
        verdict.as_data(),
    )
    _register(run, registry, agent, pair, verdict)
    return verdict


def _register(
    run: Run, registry: Registry, agent: str, pair: tuple[Entry, Entry], verdict: AgentVerdict
) -> None:
    new, old = (
        registry.register(
            agent, document_of(entry).agents[agent], f"{run.folder.name} #{entry.number}"
        )
        for entry in pair
    )
    registry.judged(
        new,
        promoted=verdict.decision == "promote",
        why=f"against version {old.number}: {verdict.reason}",
        **verdict.as_data(),
    )


def _scored(bench: Bench, entry: Entry, seeds: list[int]) -> list[Scored]:
    found = [bench.measure(entry, "promotion", seed) for seed in seeds]
    failed = next((each for each in found if isinstance(each, Failed)), None)
    if failed is not None:
        raise UsageError(f"#{entry.number} failed on the promotion part: {failed.reason}")
    return [each for each in found if isinstance(each, Scored)]


def _refines(entry: Entry, agent: str) -> bool:
    step = step_of(entry.candidate.direction)
    refined = step is not None and (step.kind, step.agent) == (REFINE, agent)
    return refined and isinstance(entry.evaluation, Scored)


def _base(run: Run, entry: Entry) -> Entry | None:
    """The pipeline that an entry was refined in; of one that mended a failure, what that was made
    from."""
    known = {e.candidate.id: e for e in reversed(run.archive.history())}
    seen = {entry.candidate.id}
    while entry.candidate.parents and entry.candidate.parents[0] not in seen:
        seen.add(entry.candidate.parents[0])
        before = known.get(entry.candidate.parents[0])
        if before is None or isinstance(before.evaluation, Scored):
            return before
        entry = before
    return None
