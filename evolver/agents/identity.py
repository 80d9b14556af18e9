"""Is this the same pipeline under another look? Only what serves counts, not the pool."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from typing import Any

from evolver.agents.document import Document, parse
from evolver.errors import ConfigError
from evolver.evaluate.fingerprint import program_digest, shingles
from evolver.propose.source import with_defaults


def digest(text: str) -> str | None:
    """Equal for documents that serve the same: the same graph, values and programs, whatever their
    names, their format, and what else is in the pool. None for what is no document."""
    try:
        return essence(parse(text))
    except ConfigError:
        return None


def essence(document: Document) -> str:
    """The digest of a document that is read."""
    canonical = json.dumps(_essence(document), sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def pieces(text: str) -> frozenset[tuple[str, ...]]:
    """What a document that serves is made of: its graph, and the shingles of its programs with
    their values. Empty for what is no document."""
    try:
        document = parse(text)
    except ConfigError:
        return frozenset()
    found = {("graph", name, json.dumps(value)) for name, value in _graph(document).items()}
    found |= {("recall", n, str(quota)) for n, quota in document.graph.recall.items()}
    whole: set[tuple[str, ...]] = set(found)
    for name in document.serving:
        agent = document.agents[name]
        whole |= {(name, *run) for run in shingles(with_defaults(agent.source, agent.values))}
    return frozenset(whole)


def _essence(document: Document) -> dict[str, Any]:
    graph = document.graph
    recall = [[_program(document, name), quota] for name, quota in graph.recall.items()]
    if graph.merge.how != "round_robin":
        recall.sort(key=json.dumps)  # their turns are not heeded
    later = {
        stage: _program(document, name)
        for stage, name in (("ranking", graph.ranking), ("reranking", graph.reranking))
        if name is not None
    }
    return {"recall": recall, **later, **_graph(document)}


def _graph(document: Document) -> dict[str, Any]:
    """What of the graph changes what is served, who serves left aside."""
    graph, found = document.graph, dict[str, Any]()
    if len(graph.recall) > 1:
        found["merge"] = graph.merge.how
        if graph.merge.how == "fusion":
            found["constant"] = graph.merge.constant
    if graph.ranking is not None or graph.reranking is not None:
        found["depth"] = graph.depth
    if graph.reranking is not None:
        found["head"] = graph.head
    return found


def _program(document: Document, name: str) -> list[Any]:
    source = document.agents[name].source
    return [_program_digest(source), sorted(document.values(name).items())]


@lru_cache(maxsize=512)
def _program_digest(source: str) -> str | None:
    """Pipelines that are tried one after the other share most programs."""
    return program_digest(source)
