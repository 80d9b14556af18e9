"""The layered reward: what a pipeline is worth as a whole, and what an agent is worth in it.

The outer reward is a mean over users, so two pipelines can be compared user by user like any two
candidates: what belongs to a user (relevance, diversity, novelty) is that user's own, what belongs
to all (coverage, latency, cost) is the same for everybody. The formulas are in
docs/agents-and-rewards.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from evolver.config import Objective, RewardConfig
from evolver.metrics import beyond
from evolver.metrics.ranking import parse_metric

OBJECTIVES: tuple[Objective, ...] = get_args(Objective)
COSTS: tuple[Objective, ...] = ("latency", "cost")
"""Objectives of which less is better."""
REWARD = "reward"
PART = "reward."
"""A pipeline's metrics hold each objective under this and its name."""
INNER = "inner."
"""A pipeline's metrics hold the inner reward of each agent that serves, under this and its name."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outer:
    """The outer reward of each user, and what it is made of. `parts`: means by objective; latency
    in ms, cost in seconds. `broken`: by how much of itself each bound is broken."""

    per_user: Floats
    parts: Mapping[Objective, float]
    broken: Mapping[Objective, float]

    @property
    def reward(self) -> float:
        return float(self.per_user.mean())


def metric_of(config: RewardConfig) -> str:
    """What the outer reward is called as a metric: "reward@10", cut where relevance is."""
    return f"{REWARD}@{parse_metric(config.relevance).k}"


def outer(
    config: RewardConfig,
    lists: NDArray[np.int32],
    relevance: Floats,
    *,
    popularity: NDArray[np.int64],
    features: csr_matrix | None,
    latency_ms: float,
    cost_seconds: float,
) -> Outer:
    """The outer reward of lists (q, k), cut where relevance is.

    relevance: (q,). popularity: (n_items,) in training. features: (n_items, width), or None: then
    diversity is 0. A list without two described items has a diversity of 0.
    """
    diversity = np.zeros(len(lists))
    if features is not None:
        diversity = np.nan_to_num(beyond.diversities(lists, features))
    own: dict[Objective, Floats] = {
        "relevance": relevance,
        "diversity": diversity,
        "novelty": beyond.novelties(lists, popularity),
    }
    parts: dict[Objective, float] = {name: float(each.mean()) for name, each in own.items()}
    parts["coverage"] = beyond.coverage(beyond.exposure(lists, len(popularity)))
    parts |= {"latency": latency_ms, "cost": cost_seconds}
    broken = breaches(config, parts)
    shared = weighed(config, {n: v for n, v in parts.items() if n not in own}) - sum(
        config.penalty * share for share in broken.values()
    )
    per_user = np.full(len(lists), shared)
    for name, each in own.items():
        per_user += config.weights.get(name, 0.0) * each
    return Outer(per_user=per_user, parts=parts, broken=broken)


def weighed(config: RewardConfig, parts: Mapping[Objective, float]) -> float:
    """The weighted sum: what is good, less latency and cost in units of their scales."""
    scales = {"latency": config.latency_scale_ms, "cost": config.cost_scale_seconds}
    return sum(
        config.weights.get(name, 0.0) * (-value / scales[name] if name in COSTS else value)
        for name, value in parts.items()
    )


def breaches(config: RewardConfig, parts: Mapping[Objective, float]) -> dict[Objective, float]:
    """By how much of itself each bound is broken; nothing where the mode has no constraints."""
    if config.mode != "constraints":
        return {}
    found: dict[Objective, float] = {}
    for name, bound in config.constraints.items():
        over = parts[name] - bound if name in COSTS else bound - parts[name]
        if over > 0:
            found[name] = over / max(abs(bound), 1e-9)
    return found


def objectives(config: RewardConfig, parts: Mapping[Objective, float]) -> tuple[float, ...]:
    """What a Pareto search maximises: the objectives that have a weight, costs negated."""
    wanted = [name for name in OBJECTIVES if config.weights.get(name, 0.0) > 0]
    return tuple(-parts[name] if name in COSTS else parts[name] for name in wanted)


def front(points: Sequence[tuple[float, ...]]) -> list[int]:
    """The places of the points that no other one beats: at least as good in all objectives and
    better in one. Of equal points all are kept."""
    kept = []
    for place, point in enumerate(points):
        beaten = any(
            all(a >= b for a, b in zip(other, point, strict=True)) and other != point
            for other in points
        )
        if not beaten:
            kept.append(place)
    return kept


def layered(config: RewardConfig, reward: float, inner: float | None) -> float:
    """What an agent's version is worth while the rest of its pipeline stays: the outer reward of
    the pipeline that it serves in, and its own objective at the declared weight.

    Up to what the pipeline is worth without the agent, which no version of it changes, this is the
    inner reward plus the agent's credit. An agent that does not serve has the outer one alone.
    """
    return reward + config.inner_weight * (inner or 0.0)
