"""What each agent of a pipeline takes and what it earns, as far as a run has recorded it."""

from __future__ import annotations

from dataclasses import dataclass

from evolver.agents.credit import Credits
from evolver.agents.document import Document, Stage
from evolver.agents.rewards import INNER
from evolver.agents.task import STAGE
from evolver.config import STAGED
from evolver.core import Entry, Failed, Scored
from evolver.credits import credits_of, judged_pipeline, lost_without
from evolver.evaluate.check import check_values
from evolver.metrics.ranking import parse_metric
from evolver.run import Run

UNMEASURED = (
    "Credits have not been measured: that is done for the best pipeline when a run ends, if time "
    "is left and no variant fails."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentShare:
    """One agent that serves. What is not recorded is None.

    program: the family that it says it is of; items: so many it recalls, ranks or re-ranks for a
    user at most; seconds: of its training and all its answers; latency_ms: for one user; error: the
    standard error of `shapley`, 0 where it is exact.
    """

    agent: str
    stage: Stage
    program: str
    items: int
    seconds: float | None = None
    latency_ms: float | None = None
    inner: float | None = None
    shapley: float | None = None
    error: float = 0.0
    leave_one_out: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """A pipeline and its agents in the order in which they serve. value: its outer reward, called
    `metric`, or None; nothing: what is left without any agent; lines: what to know of credits."""

    number: int
    document: Document
    agents: tuple[AgentShare, ...]
    metric: str
    top: int
    value: float | None
    nothing: float | None
    lines: tuple[str, ...]


def pipeline_shares(run: Run, entry: Entry) -> Shares | None:
    """The shares of a pipeline's agents. None for what is not judged as a pipeline, and for a
    source or values that none can have."""
    if run.task.name not in STAGED:
        return None
    facts = run.task.inspect(entry.candidate.source)
    if isinstance(facts, Failed) or check_values(facts, entry.candidate.values) is not None:
        return None
    return shares_of(run, entry)


def shares_of(run: Run, entry: Entry) -> Shares:
    """The shares of the agents of an entry that is known to be judged as a pipeline."""
    document, found = judged_pipeline(run, entry), credits_of(run, entry)
    unmeasured = (UNMEASURED,) if run.task.name == "pipeline" else ()
    return Shares(
        number=entry.number,
        document=document,
        agents=_agents(run, entry, document, found),
        metric=run.metric,
        top=parse_metric(run.config.evaluate.reward.relevance).k,
        value=entry.score(run.metric),
        nothing=None if found is None else found.nothing,
        lines=unmeasured if found is None else _lines(found),
    )


def _agents(
    run: Run, entry: Entry, document: Document, found: Credits | None
) -> tuple[AgentShare, ...]:
    metrics = entry.evaluation.metrics if isinstance(entry.evaluation, Scored) else {}
    graph = document.graph
    later = {graph.ranking: graph.depth, graph.reranking: graph.head}
    credits_ = {} if found is None else {each.agent: each for each in found.agents}
    lost = lost_without(run, entry)
    return tuple(
        AgentShare(
            agent=agent,
            stage=document.agents[agent].stage,
            program=document.facts(agent).family,
            items=graph.recall[agent] if agent in graph.recall else later[agent],
            seconds=metrics.get(f"{STAGE}{agent}.seconds"),
            latency_ms=metrics.get(f"{STAGE}{agent}.latency_ms"),
            inner=metrics.get(f"{INNER}{agent}"),
            shapley=credits_[agent].shapley if agent in credits_ else None,
            error=credits_[agent].error if agent in credits_ else 0.0,
            leave_one_out=lost.get(agent),
        )
        for agent in document.serving
    )


def _lines(found: Credits) -> tuple[str, ...]:
    how = f"from {found.orders} drawn orders" if found.orders else "exact"
    together = (
        f"Credits are of the outer reward on the search part, {how}; together "
        f"{found.whole - found.nothing:+.4f} over {found.nothing:.4f} without any agent."
    )
    harmful = [each.agent for each in found.agents if each.shapley < 0]
    return (together, f"Does harm on average: {', '.join(harmful)}.") if harmful else (together,)
