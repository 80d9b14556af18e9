"""Serving decisions as typed actions: fusion weights, recall quotas, trade-off of re-ranking.

A `ServingSpace` lists the decisions that may be taken; each has a name, which is what a log's
action column holds, and numbers, which are what a policy can generalise over. `serve` carries one
out.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evolver.errors import ConfigError, UsageError

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingDecision:
    """How one list is made.

    weights: recall list to its share in the fused score, at least 0, summing to 1. quotas: recall
    list to how many of its best items are considered. diversity: share in [0, 1] that
    unlikeness to what is already in the list has in re-ranking (1 - lambda of MMR).
    """

    weights: Mapping[str, float]
    quotas: Mapping[str, int]
    diversity: float = 0.0

    def __post_init__(self) -> None:
        total = sum(self.weights.values())
        if set(self.weights) != set(self.quotas):
            raise ConfigError("a decision needs a weight and a quota for each recall list")
        if min(self.weights.values(), default=-1.0) < 0 or abs(total - 1) > 1e-6:
            raise ConfigError(f"fusion weights must be 0 or more and sum to 1, not {total:g}")
        if min(self.quotas.values()) < 0 or not sum(self.quotas.values()):
            raise ConfigError("quotas must be 0 or more, and one of them above 0")
        if not 0 <= self.diversity <= 1:
            raise ConfigError(f"diversity {self.diversity:g} must lie between 0 and 1")

    @property
    def name(self) -> str:
        """`knn=0.5,pop=0.5 quota knn=20,pop=20 diversity 0.3`: unique, and leads back."""
        weights = ",".join(f"{k}={v:.4g}" for k, v in self.weights.items())
        quotas = ",".join(f"{k}={v}" for k, v in self.quotas.items())
        return f"{weights} quota {quotas} diversity {self.diversity:.4g}"


def decision_from_name(name: str) -> ServingDecision:
    """The decision of a name. Raises `UsageError` where it is none."""
    try:
        weights, quota, quotas, diversity, share = name.split(" ")
        if (quota, diversity) != ("quota", "diversity"):
            raise ValueError("no decision")
        pairs = [part.split("=") for part in weights.split(",")]
        found = {k: float(v) for k, v in pairs}
        total = sum(found.values())
        return ServingDecision(
            weights={k: v / total for k, v in found.items()},
            quotas={k: int(v) for k, v in (part.split("=") for part in quotas.split(","))},
            diversity=float(share),
        )
    except (ValueError, ZeroDivisionError, ConfigError) as error:
        raise UsageError(f"'{name}' names no serving decision: {error}") from None


@dataclass(frozen=True, kw_only=True)
class ServingSpace:
    """Which decisions there are: all mixes of weights in steps, by quotas, by diversity.

    lists: names of the recall lists. steps: weights are multiples of 1 / steps. quotas: what each
    list may contribute, one mapping a choice. diversities: choices.
    """

    lists: tuple[str, ...]
    steps: int = 2
    quotas: Sequence[Mapping[str, int]]
    diversities: Sequence[float] = (0.0,)

    def __post_init__(self) -> None:
        if any(set(name) & set(" ,=") for name in self.lists):
            raise ConfigError("names of recall lists must not hold blanks, commas or '='")
        if len(set(self.lists)) != len(self.lists) or not self.lists or self.steps < 1:
            raise ConfigError("a serving space needs distinct recall lists and a step or more")
        if not self.decisions:
            raise ConfigError("a serving space needs quotas and diversities to choose from")

    @cached_property
    def decisions(self) -> tuple[ServingDecision, ...]:
        """Every decision once. Where a list has no quota its weight has no effect, so it is 0."""
        mixes = [
            mix
            for mix in itertools.product(range(self.steps + 1), repeat=len(self.lists))
            if sum(mix) == self.steps
        ]
        found: dict[str, ServingDecision] = {}
        for mix, quotas, diversity in itertools.product(mixes, self.quotas, self.diversities):
            weights = {k: share / self.steps for k, share in zip(self.lists, mix, strict=True)}
            if any(weights[k] > 0 and not quotas[k] for k in self.lists):
                continue
            decision = ServingDecision(
                weights=weights, quotas={k: quotas[k] for k in self.lists}, diversity=diversity
            )
            found[decision.name] = decision
        return tuple(found.values())

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(decision.name for decision in self.decisions)

    def features(self) -> dict[str, Floats]:
        """Name to (K,): weights, quotas' shares and diversity, and squares of what takes more than
        two values, so that the best may lie in the middle. What never varies is left out."""
        columns: dict[str, Floats] = {}
        for name in self.lists:
            columns[f"weight {name}"] = np.array([d.weights[name] for d in self.decisions])
            columns[f"quota {name}"] = np.array(
                [d.quotas[name] / sum(d.quotas.values()) for d in self.decisions]
            )
        columns["diversity"] = np.array([d.diversity for d in self.decisions])
        found = {}
        for name, values in columns.items():
            levels = len(np.unique(values))
            if levels > 1:
                found[name] = values
            if levels > 2:
                found[f"{name} squared"] = values**2
        return found

    def table(self, column: str = "action") -> pl.DataFrame:
        """One row a decision: its name and features, as `read_log` takes them for `actions`."""
        return pl.DataFrame({column: list(self.names), **self.features()})


def serve(
    decision: ServingDecision,
    lists: Mapping[str, tuple[NDArray[np.int64], Floats]],
    kinds: Floats,
    k: int,
) -> NDArray[np.int64]:
    """(users, k) items for users whose decision this is; -1 where candidates run out.

    lists: recall list to (users, length) items, best first, and their scores. Scores of a list
    are put between 0.05 and 1 by their least and greatest within the quota, for each user; an item
    that a list does not have gets 0 from it. kinds: (items, d) unit rows; likeness is their inner
    product.
    Re-ranking is MMR (Carbonell and Goldstein, 1998). Ties go to the smaller item number.
    """
    items, scores = _fused(decision, lists, len(kinds))
    likeness = np.zeros_like(scores)
    vectors = kinds[items]
    taken = np.full((len(items), k), -1, dtype=np.int64)
    rows = np.arange(len(items))
    open_ = np.isfinite(scores)
    relevance = np.where(open_, scores, 0.0)
    for place in range(min(k, items.shape[1])):
        worth = (1 - decision.diversity) * relevance - decision.diversity * likeness
        worth = np.where(open_, worth, -np.inf)
        best = worth.argmax(axis=1)
        some = open_[rows, best]
        taken[some, place] = items[rows, best][some]
        open_[rows, best] = False
        if decision.diversity > 0:
            like = np.einsum("ucd,ud->uc", vectors, vectors[rows, best])
            likeness = np.maximum(likeness, like)
    return taken


def _fused(
    decision: ServingDecision, lists: Mapping[str, tuple[NDArray[np.int64], Floats]], n_items: int
) -> tuple[NDArray[np.int64], Floats]:
    """(users, candidates) items in order of number, and fused scores; -inf marks repetitions."""
    parts, shares = [], []
    for name, weight in decision.weights.items():
        if name not in lists:
            raise UsageError(f"the decision uses recall list '{name}', which is not there")
        items, scores = (array[:, : decision.quotas[name]] for array in lists[name])
        if not items.shape[1]:
            continue
        low, high = scores.min(axis=1, keepdims=True), scores.max(axis=1, keepdims=True)
        span = np.where(high > low, high - low, 1.0)
        parts.append(items)
        # a whole list of one score is worth its weight; the last of a list is worth a little
        shares.append(weight * np.where(high > low, 0.05 + 0.95 * (scores - low) / span, 1.0))
    every, share = np.concatenate(parts, axis=1), np.concatenate(shares, axis=1)
    order = np.argsort(every, axis=1, kind="stable")
    every, share = np.take_along_axis(every, order, 1), np.take_along_axis(share, order, 1)
    if every.min() < 0 or every.max() >= n_items:
        raise UsageError(f"recall lists hold item numbers outside 0 to {n_items - 1}")
    first = np.ones(every.shape, dtype=bool)
    first[:, 1:] = every[:, 1:] != every[:, :-1]
    # sum what several lists say of one item into its first place
    run = np.cumsum(first, axis=1) - 1 + np.arange(len(every))[:, None] * every.shape[1]
    sums = np.bincount(run.ravel(), weights=share.ravel(), minlength=every.size)
    fused: Floats = np.where(first, sums[run], -np.inf)
    return every.astype(np.int64), fused
