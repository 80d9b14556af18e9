"""The retrieval task: what goes into the sandbox, and what is concluded from what comes out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from evolver.config import EvaluateConfig
from evolver.contract import Interactions
from evolver.core import Completed, Execution, Failed, Scored
from evolver.data.split import Fold
from evolver.errors import DataError
from evolver.metrics import beyond
from evolver.metrics.membership import membership
from evolver.metrics.ranking import Metric, parse_metric, per_user
from evolver.tasks.popularity import popularity_lists
from evolver.tasks.view import write_view

__all__ = ["all_lists", "evaluate", "list_length", "metrics_of", "served_rows", "write_view"]


EVALUATOR = "retrieval-1"
"""Changes whenever the same lists would be judged differently."""

_DIVERSITY_LISTS = 20_000


class _SaysWhomItServes(Protocol):
    @property
    def serves_unseen(self) -> bool: ...


def metrics_of(config: EvaluateConfig) -> tuple[Metric, ...]:
    """The metric to compare by, then the others, each once. Raises UsageError on an unknown one."""
    parsed = [parse_metric(text) for text in (config.metric, *config.also)]
    return tuple(dict.fromkeys(parsed))


def list_length(config: EvaluateConfig) -> int:
    """How many items a candidate is asked for: as many as the deepest metric looks at."""
    return max(metric.k for metric in metrics_of(config))


def served_rows(facts: _SaysWhomItServes, fold: Fold) -> NDArray[np.int64] | None:
    """The queries to ask a candidate for, ascending; None means all of them.

    One that cannot serve users who were not in training is asked for known users only.
    """
    if facts.serves_unseen or bool(fold.queries.known.all()):
        return None
    return np.flatnonzero(fold.queries.known).astype(np.int64)


def evaluate(
    execution: Execution,
    fold: Fold,
    config: EvaluateConfig,
    served: NDArray[np.int64] | None = None,
) -> Scored | Failed:
    """Measure what a sandbox brought back against the labels, full catalogue.

    `served` is what `served_rows` said; everyone else gets the popularity ranking and counts as
    unserved. Each metric is a mean over all queries; where a part has known and unseen users,
    "ndcg@10[known]" and "ndcg@10[unseen]" are the means over each. Beyond accuracy, at the cut of
    the main metric: coverage, novelty, popularity_share, gini and, with item features, diversity.
    Lists that break the contract are the candidate's fault: `Failed`. Raises DataError on a part
    without queries.
    """
    outcome = execution.outcome
    if isinstance(outcome, Failed):
        return outcome
    if not len(fold.queries):
        raise DataError(f"the {fold.part} part has nobody to ask; use a larger share or other data")
    metrics, k = metrics_of(config), list_length(config)
    rows = np.arange(len(fold.queries)) if served is None else served
    lists = outcome.answers
    wrong = list_fault(lists, rows, fold, k)
    if wrong is not None:
        return Failed(kind="invalid_output", reason=wrong)
    lists = all_lists(lists, fold, config, served)
    values = per_user(lists, fold.labels.indptr, fold.labels.items, fold.train.n_items, metrics)
    return _scored(outcome, values, _beyond(lists, fold.train, metrics[0].k), fold, rows)


def all_lists(
    lists: NDArray[np.int32], fold: Fold, config: EvaluateConfig, served: NDArray[np.int64] | None
) -> NDArray[np.int32]:
    """(queries, k) what is judged: the candidate's lists, and popularity for whom it left out."""
    k = list_length(config)
    return lists[:, :k] if served is None else _with_unserved(lists[:, :k], served, fold, k)


def list_fault(lists: NDArray[np.int32], rows: NDArray[np.int64], fold: Fold, k: int) -> str | None:
    """Why these lists for these queries cannot be used, in one line; None if they can."""
    if lists.dtype != np.int32 or lists.ndim != 2:
        return f"lists must be two-dimensional int32, not {lists.dtype} of shape {lists.shape}"
    if lists.shape[0] != len(rows) or lists.shape[1] < k:
        return f"lists of shape {lists.shape} where {len(rows)} users by {k} items were asked for"
    for wrong, say in (
        (_outside(lists, fold), "is not one of 0 to {last}"),
        (_holes(lists), "comes after an empty place; -1 may only fill the end"),
        (_repeated(lists), "is on the list twice"),
        (_had(lists, rows, fold), "is in the user's history"),
    ):
        if wrong.any():
            row, place = np.argwhere(wrong)[0]
            where = f"query {rows[row]}, place {place + 1}: item {lists[row, place]} "
            return where + say.format(last=fold.train.n_items - 1)
    return None


def _outside(lists: NDArray[np.int32], fold: Fold) -> NDArray[np.bool_]:
    return np.asarray((lists < -1) | (lists >= fold.train.n_items))


def _holes(lists: NDArray[np.int32]) -> NDArray[np.bool_]:
    wrong = lists >= 0
    wrong[:, 1:] &= lists[:, :-1] < 0
    wrong[:, :1] = False
    return wrong


def _repeated(lists: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Marks the first repetition only; sorting whole lists is enough to know that there is none."""
    wrong = np.zeros(lists.shape, dtype=bool)
    ordered = np.sort(lists, axis=1)
    twice = ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any(axis=1)
    for row in np.flatnonzero(twice)[:1]:
        _, first = np.unique(lists[row], return_index=True)
        wrong[row] = lists[row] >= 0
        wrong[row, first] = False
    return wrong


def _had(lists: NDArray[np.int32], rows: NDArray[np.int64], fold: Fold) -> NDArray[np.bool_]:
    if fold.repeats:
        return np.zeros(lists.shape, dtype=bool)
    return membership(lists, *_histories(fold, rows), fold.train.n_items)


def _histories(fold: Fold, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    queries = fold.queries
    if len(rows) == len(queries):
        return queries.indptr, queries.items
    chosen = np.zeros(len(queries), dtype=bool)
    chosen[rows] = True
    sizes = np.diff(queries.indptr)
    indptr = np.concatenate([[0], np.cumsum(sizes[chosen])]).astype(np.int64)
    return indptr, queries.items[np.repeat(chosen, sizes)]


def _with_unserved(
    lists: NDArray[np.int32], served: NDArray[np.int64], fold: Fold, k: int
) -> NDArray[np.int32]:
    everyone = popularity_lists(fold.train, fold.queries, k, repeats=fold.repeats)
    everyone[served] = lists
    return everyone


def _beyond(lists: NDArray[np.int32], train: Interactions, k: int) -> dict[str, float]:
    from scipy.sparse import hstack

    shown = beyond.exposure(lists[:, :k], train.n_items)
    popularity = train.popularity()
    out = {
        f"coverage@{k}": beyond.coverage(shown),
        f"novelty@{k}": beyond.novelty(shown, popularity),
        f"popularity_share@{k}": beyond.popularity_share(shown, popularity),
        f"gini@{k}": beyond.gini(shown),
    }
    if train.item_features:
        features = hstack(list(train.item_features.values()), format="csr")
        step = -(-len(lists) // _DIVERSITY_LISTS)  # wide features make it slow; a sample will do
        diversity = beyond.diversity(lists[::step, :k], features)
        if diversity is not None:
            out[f"diversity@{k}"] = diversity
    return out


def _scored(
    outcome: Completed,
    values: Mapping[str, NDArray[np.float64]],
    more: Mapping[str, float],
    fold: Fold,
    rows: NDArray[np.int64],
) -> Scored:
    known = fold.queries.known
    means = {name: float(each.mean()) for name, each in values.items()}
    if known.any() and not known.all():
        for name, each in values.items():
            means[f"{name}[known]"] = float(each[known].mean())
            means[f"{name}[unseen]"] = float(each[~known].mean())
    latency = outcome.latency_ms
    p50, p99 = np.percentile(latency, [50, 99]) if len(latency) else (0.0, 0.0)
    return Scored(
        metrics={**means, **more},
        per_user={name: each.astype(np.float32) for name, each in values.items()},
        fit_seconds=outcome.fit_seconds,
        score_seconds=outcome.score_seconds,
        latency_ms_p50=float(p50),
        latency_ms_p99=float(p99),
        parameters=outcome.parameters,
        peak_bytes=outcome.peak_bytes,
        unserved=len(fold.queries) - len(rows),
    )
