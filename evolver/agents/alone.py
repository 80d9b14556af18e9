"""What the single retrievers that a pipeline is compared with have taught: how they are best set,
and which of them a composition should try first."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from evolver.agents.document import Document, parse
from evolver.agents.space import GRAPH, NONE, RECALLED
from evolver.core import Entry, Parameter, Value
from evolver.propose.baselines import is_baseline

QUOTA = 100


@dataclass(frozen=True, slots=True)
class Alone:
    """A recall agent of the pool as the best single retriever of its program. values: by name of
    the pipeline's parameters."""

    agent: str
    values: Mapping[str, Value]


def best_alone(document: Document, history: Sequence[Entry], metric: str) -> list[Alone]:
    """The pool's recall agents that were tried alone, best first, each with its best values."""
    found: dict[str, tuple[float, Alone]] = {}
    for name, own, entry in _tried(document, history):
        score = entry.score(metric)
        if score is not None and (name not in found or score > found[name][0]):
            values = {
                f"{name}.{key.removeprefix(f'{own}.')}": value
                for key, value in entry.candidate.values.items()
            }
            found[name] = score, Alone(name, values)
    return [alone for _, alone in sorted(found.values(), key=lambda each: -each[0])]


def hopeless(document: Document, history: Sequence[Entry], metric: str) -> frozenset[str]:
    """The pool's recall agents that do not serve, were tried alone, and never came to a score: too
    slow or too large for this data."""
    scores = [(name, entry.score(metric)) for name, _, entry in _tried(document, history)]
    scored = {name for name, score in scores if score is not None}
    return frozenset(name for name, _ in scores) - scored - set(document.serving)


def _tried(document: Document, history: Sequence[Entry]) -> Iterator[tuple[str, str, Entry]]:
    """Trials alone of the pool's recall agents: the agent, how the trial called it, the trial."""
    names = {document.agents[name].source: name for name in document.pool("recall")}
    for entry in filter(is_baseline, history):
        ((own, spec),) = parse(entry.candidate.source).agents.items()
        if spec.source in names:
            yield names[spec.source], own, entry


def without(space: Sequence[Parameter], agents: Collection[str]) -> tuple[Parameter, ...]:
    """A space of compositions that never takes these recall agents up."""
    gone = {f"{GRAPH}.{what}.{name}" for name in agents for what in ("use", "quota")}
    return tuple(parameter for parameter in space if parameter.name not in gone)


def tuned(document: Document, alone: Sequence[Alone]) -> dict[str, Value]:
    """The values of those that do not serve yet: as they were best alone."""
    return {
        name: value
        for each in alone
        if each.agent not in document.serving
        for name, value in each.values.items()
    }


def moves(document: Document, alone: Sequence[Alone]) -> list[dict[str, Value]]:
    """Compositions to try before any searcher has seen one: the best retriever by itself, the same
    with what ranks now, the best one joining at the head, the two best fused."""
    pool = document.pool("recall")
    if not alone or len(pool) < 2:
        return []
    best = alone[0].agent
    joined: dict[str, Value] = {f"{GRAPH}.use.{best}": True, f"{GRAPH}.quota.{best}": QUOTA}
    if best not in document.graph.recall:
        joined[f"{GRAPH}.first"] = best
    by_itself = _recalled(pool, (best,), RECALLED)
    nothing = {
        f"{GRAPH}.{stage}": NONE for stage in ("ranking", "reranking") if document.pool(stage)
    }
    found = [{**by_itself, **nothing}]
    if document.graph.ranking is not None:
        found.append({**by_itself, f"{GRAPH}.ranking": document.graph.ranking})
    found.append(joined)
    if len(alone) > 1:
        both = _recalled(pool, (best, alone[1].agent), QUOTA)
        found.append({**both, f"{GRAPH}.merge": "fusion", **nothing})
    return found


def _recalled(pool: Sequence[str], serving: Sequence[str], quota: int) -> dict[str, Value]:
    used: dict[str, Value] = {f"{GRAPH}.use.{name}": name in serving for name in pool}
    return used | {f"{GRAPH}.quota.{name}": quota for name in serving}
