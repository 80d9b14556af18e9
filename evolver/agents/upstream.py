"""The pipeline before a re-ranker, fixed for a run: whose lists candidates put into another order.

It is a document without a re-ranking agent, kept in the run's settings with every program written
out, so that the run can be moved, resumed and repeated.
"""

from __future__ import annotations

from collections.abc import Collection

from evolver import zoo
from evolver.agents.document import AgentSpec, Document, GraphSpec, parse
from evolver.config import EvaluateConfig
from evolver.core import Candidate
from evolver.errors import ConfigError, UsageError

RERANKER = "reranker"
"""The agent that a candidate becomes."""
RETRIEVERS = ("ease", "ials", "item_knn")
"""The first of them that suits the size of the data recalls beside popularity by default."""
QUOTAS = (100, 50)
RANKING = "logistic_regression"


def default_upstream(skipped: Collection[str] = ()) -> Document:
    """One retriever and popularity, ranked by logistic regression; without the retrievers that are
    too large for the data."""
    personal = [name for name in RETRIEVERS if name not in skipped][:1]
    recall = dict(zip((*personal, "popularity"), QUOTAS, strict=False))
    agents = {name: AgentSpec(stage="recall", source=zoo.source(name)) for name in recall}
    agents[RANKING] = AgentSpec(stage="ranking", source=zoo.source(RANKING))
    return Document(
        name=f"{' and '.join(recall)}, {RANKING}",
        agents=agents,
        graph=GraphSpec(recall=recall, ranking=RANKING),
    )


def upstream(document: Document) -> Document:
    """The document as lists are made by it: its agents that serve, and no others.

    Raises UsageError where an agent re-ranks already, or has the name that candidates get.
    """
    if document.graph.reranking is not None:
        raise UsageError(
            f"graph.reranking names {document.graph.reranking!r}; candidates take that place, so "
            "leave it out"
        )
    if RERANKER in document.serving:
        raise UsageError(f"an agent is called {RERANKER!r}, as candidates are; rename it")
    agents = {name: document.agents[name] for name in document.serving}
    return document.model_copy(update={"agents": agents})


def upstream_of(config: EvaluateConfig) -> Document:
    """The upstream that settings hold. Raises ConfigError where they hold none."""
    if config.upstream is None:
        raise ConfigError("evaluate.upstream is missing: there are no lists to re-rank")
    try:
        return parse(config.upstream)
    except ConfigError as error:
        raise ConfigError(f"evaluate.upstream: {error}") from None


def with_reranker(document: Document, candidate: Candidate) -> Document:
    """The upstream with a candidate as its re-ranking agent: the pipeline that is judged."""
    agent = AgentSpec(stage="reranking", source=candidate.source, values=dict(candidate.values))
    return document.model_copy(
        update={
            "agents": {**document.agents, RERANKER: agent},
            "graph": document.graph.model_copy(update={"reranking": RERANKER}),
        }
    )
