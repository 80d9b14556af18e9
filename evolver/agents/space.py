"""The typed space that a pipeline lies in: its graph, and the tunables of its agents.

Names say whose a parameter is: `graph.depth` is the composition's, `ials.factors` is an agent's.
What there is no choice about has no parameter: a pipeline of one agent has that agent's alone.
A document whose numbers lie outside of the usual bounds widens them: it is in its own space.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from evolver.agents.document import Document, GraphSpec, MergeSpec, Stage, parse
from evolver.core import Candidate, Parameter, Value

GRAPH = "graph"
NONE = "none"
RECALLED = 200
"""So many items are asked of each recall agent, whatever its quota, so that another quota needs no
other training."""
QUOTAS = (10, RECALLED)
DEPTHS = (20, 400)
HEADS = (10, 100)
CONSTANTS = (1.0, 200.0)
_LATER: tuple[Stage, ...] = ("ranking", "reranking")


def parameters(document: Document) -> tuple[Parameter, ...]:
    """The whole space; the document itself is the point of its defaults."""
    return (*composition(document), *(p for n in document.agents for p in own(document, n)))


def composition(document: Document) -> tuple[Parameter, ...]:
    """Which agents serve, with which quotas, in which order, and how lists are merged and cut."""
    recall, graph = document.pool("recall"), document.graph
    found: list[Parameter] = []
    several = len(recall) > 1
    for name in recall if several else ():
        serves = name in graph.recall
        found.append(_choice(f"use.{name}", (True, False), serves))
        found.append(
            _whole(f"quota.{name}", QUOTAS, graph.recall.get(name, 50), (f"use.{name}", (True,)))
        )
    if several:
        found.append(_choice("merge", ("round_robin", "fusion", "learned"), graph.merge.how))
        first = next(iter(graph.recall))
        found.append(_choice("first", recall, first, ("merge", ("round_robin",))))
        low, high = CONSTANTS
        found.append(
            Parameter(
                name=f"{GRAPH}.constant",
                kind="float",
                low=min(low, graph.merge.constant),
                high=max(high, graph.merge.constant),
                log=True,
                default=graph.merge.constant,
                when=(f"{GRAPH}.merge", ("fusion",)),
            )
        )
    for stage in _LATER:
        names = document.pool(stage)
        if names:
            serving = getattr(graph, stage) or NONE
            found.append(_choice(stage, (NONE, *names), serving))
    if document.pool("ranking"):
        when = ("ranking", document.pool("ranking"))
        found.append(_whole("depth", DEPTHS, graph.depth, when))
    if document.pool("reranking"):
        when = ("reranking", document.pool("reranking"))
        found.append(_whole("head", HEADS, graph.head, when))
    return tuple(found)


def own(document: Document, name: str) -> tuple[Parameter, ...]:
    """The tunables of one agent, as far as it serves; their defaults are the document's values."""
    values, when = document.values(name), _serves(document, name)
    return tuple(
        replace(
            tunable,
            name=f"{name}.{tunable.name}",
            default=values[tunable.name],
            when=when if tunable.when is None else (f"{name}.{tunable.when[0]}", tunable.when[1]),
        )
        for tunable in document.facts(name).tunables
    )


def free(document: Document, name: str) -> tuple[Parameter, ...]:
    """The tunables of an agent that serves: what hung on its serving exists always."""
    head = f"{name}."
    return tuple(
        p if p.when is not None and p.when[0].startswith(head) else replace(p, when=None)
        for p in own(document, name)
    )


def applied(document: Document, values: Mapping[str, Value]) -> Document:
    """The document at a point of its space; what the point leaves out stays as it is.

    A point at which no agent recalls keeps the first one of the document's graph.
    """

    def pick(name: str, otherwise: Value) -> Value:
        return values.get(f"{GRAPH}.{name}", otherwise)

    graph = document.graph
    recall = _recall(document, pick("first", ""), values)
    agents = {
        name: agent.model_copy(update={"values": {**agent.values, **dict(_own(name, values))}})
        for name, agent in document.agents.items()
    }
    ranking, reranking = (
        str(pick(stage, getattr(graph, stage) or NONE)) for stage in ("ranking", "reranking")
    )
    made = GraphSpec(
        recall=recall,
        merge=MergeSpec(
            how=pick("merge", graph.merge.how),  # type: ignore[arg-type]
            constant=float(pick("constant", graph.merge.constant)),
        ),
        ranking=None if ranking == NONE else ranking,
        reranking=None if reranking == NONE else reranking,
        depth=int(pick("depth", graph.depth)),
        head=int(pick("head", graph.head)),
    )
    return document.model_copy(update={"agents": agents, "graph": made})


def pipeline_of(candidate: Candidate) -> Document:
    """The pipeline that a candidate is: its document with its values in it."""
    return applied(parse(candidate.source), candidate.values)


def point_of(document: Document) -> dict[str, Value]:
    """The point of the space that the document is as it stands."""
    found: dict[str, Value] = {}
    for parameter in parameters(document):
        exists = parameter.when is None or found.get(parameter.when[0]) in parameter.when[1]
        if exists and parameter.default is not None:
            found[parameter.name] = parameter.default
    return found


def _recall(document: Document, first: Value, chosen: Mapping[str, Value]) -> dict[str, int]:
    graph, pool = document.graph, document.pool("recall")
    if len(pool) < 2:
        return dict(graph.recall)
    order = [*graph.recall, *(name for name in pool if name not in graph.recall)]
    order.sort(key=lambda name: name != first)
    used = [n for n in order if chosen.get(f"{GRAPH}.use.{n}", n in graph.recall)]
    used = used or [next(iter(graph.recall))]
    return {n: int(chosen.get(f"{GRAPH}.quota.{n}", graph.recall.get(n, 50))) for n in used}


def _own(name: str, values: Mapping[str, Value]) -> Iterator[tuple[str, Value]]:
    head = f"{name}."
    return ((key.removeprefix(head), v) for key, v in values.items() if key.startswith(head))


def _serves(document: Document, name: str) -> tuple[str, tuple[Value, ...]] | None:
    """The choice on which an agent's parameters hang; None where it always serves."""
    stage = document.agents[name].stage
    if stage == "recall":
        alone = len(document.pool("recall")) < 2
        return None if alone else (f"{GRAPH}.use.{name}", (True,))
    return f"{GRAPH}.{stage}", (name,)


def _choice(
    name: str,
    choices: Sequence[Value],
    default: Value,
    when: tuple[str, tuple[Value, ...]] | None = None,
) -> Parameter:
    return Parameter(
        name=f"{GRAPH}.{name}",
        kind="choice",
        choices=tuple(choices),
        default=default,
        when=_within(when),
    )


def _whole(
    name: str, bounds: tuple[int, int], default: int, when: tuple[str, tuple[Value, ...]]
) -> Parameter:
    low, high = bounds
    return Parameter(
        name=f"{GRAPH}.{name}",
        kind="int",
        low=min(low, default),
        high=max(high, default),
        log=True,
        default=default,
        when=_within(when),
    )


def _within(when: tuple[str, tuple[Value, ...]] | None) -> tuple[str, tuple[Value, ...]] | None:
    return None if when is None else (f"{GRAPH}.{when[0]}", when[1])
