"""Where a search for pipelines starts, and what it is compared with.

The start recalls by popularity and iALS and ranks by logistic regression; re-ranking is identity.
Beside it in the pool are the zoo's other models, which a composition may take up. What it is
compared with are single retrievers: pipelines of one agent, tuned on the same outer reward.
"""

from __future__ import annotations

from collections.abc import Collection

from evolver import zoo
from evolver.agents.document import AgentSpec, Document, GraphSpec
from evolver.agents.space import RECALLED

RECALL = (
    *("popularity", "ials", "ease", "item_knn", "graph_filter"),
    *("bpr_mf", "lightgcn", "sasrec"),
)
"""The pool of recall agents; the first two serve at the start."""
RANKING = ("logistic_regression", "fm")
RERANKING = ("mmr", "calibration", "dpp", "listwise_attention")
QUOTAS = {"ials": 100, "popularity": 50}


def default_pipeline(skipped: Collection[str] = ()) -> Document:
    """The start, without the zoo models that are too large for the data."""
    recall = [name for name in RECALL if name not in skipped]
    agents = {name: AgentSpec(stage="recall", source=zoo.source(name)) for name in recall}
    agents |= {name: AgentSpec(stage="ranking", source=zoo.source(name)) for name in RANKING}
    agents |= {name: AgentSpec(stage="reranking", source=zoo.source(name)) for name in RERANKING}
    serving = {name: quota for name, quota in QUOTAS.items() if name in recall}
    return Document(
        name="popularity and iALS recall, logistic ranking",
        agents=agents,
        graph=GraphSpec(recall=serving or {recall[0]: 100}, ranking=RANKING[0]),
    )


def single(name: str) -> Document:
    """One zoo retriever as a pipeline of its own."""
    return Document(
        name=name,
        agents={name: AgentSpec(stage="recall", source=zoo.source(name))},
        graph=GraphSpec(recall={name: RECALLED}),
    )
