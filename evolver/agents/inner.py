"""The inner reward of each agent: its own objective, which it can be judged by alone.

recall: recall of the held-out items within its quota. ranking: of the items that were merged for a
user, the chance that a held-out one is ranked above another one (AUC); a half where a user has
items of one kind only. reranking: the part of the outer reward that a list has by itself.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evolver.agents.rewards import Outer
from evolver.agents.staged import Staged
from evolver.config import RewardConfig
from evolver.data.split import Fold
from evolver.metrics.classification import auc_by_group
from evolver.metrics.membership import membership

Floats = NDArray[np.float64]


def inner_rewards(
    outcome: Staged, fold: Fold, outer: Outer, config: RewardConfig
) -> dict[str, Floats]:
    """(q,) the inner reward of each agent that served, by name."""
    document = outcome.document
    found = {name: recall_within(lists, fold) for name, lists in outcome.recalled.items()}
    if document.graph.ranking is not None and outcome.probabilities is not None:
        found[document.graph.ranking] = auc_within(
            outcome.merged.items, outcome.probabilities, fold
        )
    if document.graph.reranking is not None and outcome.recalled:
        shared = sum(config.weights.get(name, 0.0) * outer.parts[name] for name in ("coverage",))
        found[document.graph.reranking] = outer.per_user - shared
    return found


def recall_within(lists: NDArray[np.int32], fold: Fold) -> Floats:
    """(q,) the share of each query's held-out items that is on the list."""
    labels = fold.labels
    hits = membership(lists, labels.indptr, labels.items, fold.train.n_items)
    return np.asarray(hits.sum(axis=1) / np.diff(labels.indptr))


def auc_within(items: NDArray[np.int32], probabilities: Floats, fold: Fold) -> Floats:
    """(q,) AUC of the probabilities of each query's items; a half where it is not defined."""
    labels = fold.labels
    hits = membership(items, labels.indptr, labels.items, fold.train.n_items)
    query, place = np.nonzero(items >= 0)
    found = np.full(len(items), 0.5)
    if len(query):
        value, _, names = auc_by_group(hits[query, place], probabilities[query, place], query)
        found[names] = value
    return found
