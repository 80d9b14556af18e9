"""What a challenger must not pay for its gain: time, memory, breadth, or one group of users."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from evolver.config import PromoteConfig
from evolver.core import Scored
from evolver.evaluate.effect import Floats, effect

SLICE_LEVEL = 0.05
_SMALLEST_SLICE = 30
_SLACK_MS = 5.0  # below this a ratio of latencies is a ratio of scheduling accidents
_SLACK_BYTES = 256 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Guardrail:
    """One thing that must not get worse. `limit` is the worst that would have been let pass."""

    name: str
    held: bool
    challenger: float
    incumbent: float
    limit: float


def guardrails(
    challenger: Sequence[Scored],
    incumbent: Sequence[Scored],
    metric: str,
    config: PromoteConfig,
) -> Iterator[Guardrail]:
    """Costs, and what the metric does not see: breadth of lists at the metric's cut, or how far
    probabilities can be believed. Each the median over seeds. Latency and memory have some slack,
    for small figures are noise."""
    sides = challenger, incumbent
    new, old = (_median(side, "latency_ms_p99") for side in sides)
    limit = max(config.latency_ratio * old, old + _SLACK_MS)
    yield _at_most("latency p99 (ms)", new, old, limit)
    new, old = (_median(side, "peak_bytes") for side in sides)
    limit = max(config.memory_ratio * old, old + _SLACK_BYTES)
    yield _at_most("peak memory (bytes)", new, old, limit)
    _, at, k = metric.rpartition("@")
    yield from (_breadth(*sides, k, config) if at else _honesty(*sides, config))


def _breadth(
    challenger: Sequence[Scored], incumbent: Sequence[Scored], k: str, config: PromoteConfig
) -> Iterator[Guardrail]:
    new, old = (_median_metric(side, f"popularity_share@{k}") for side in (challenger, incumbent))
    yield _at_most("popularity share", new, old, old + config.popularity_rise)
    new, old = (_median_metric(side, f"coverage@{k}") for side in (challenger, incumbent))
    limit = old * (1 - config.coverage_drop)
    yield Guardrail(name="coverage", held=new >= limit, challenger=new, incumbent=old, limit=limit)


def _honesty(
    challenger: Sequence[Scored], incumbent: Sequence[Scored], config: PromoteConfig
) -> Iterator[Guardrail]:
    """A better order must not be paid for with probabilities that mean less."""
    new, old = (_median_metric(side, "log_loss") for side in (challenger, incumbent))
    yield _at_most("log loss", new, old, old * (1 + config.log_loss_rise))


def slice_guardrails(
    challenger: Floats, incumbent: Floats, slices: Mapping[str, NDArray[np.bool_]]
) -> Iterator[Guardrail]:
    """A slice holds unless it measurably lost: one-sided, Bonferroni over the slices at 5%.

    challenger, incumbent: (seeds, users). Slices under 30 users are too small to say anything
    and are left out. `limit` is the loss that would have been measurable.
    """
    judged = {name: mask for name, mask in slices.items() if mask.sum() >= _SMALLEST_SLICE}
    level = SLICE_LEVEL / max(len(judged), 1)
    margin = float(norm.isf(level))
    for name, mask in judged.items():
        new, old = challenger[:, mask], incumbent[:, mask]
        found = effect(old, new)  # the other way round: is the incumbent better?
        error = float(found.standard_error)
        yield Guardrail(
            name=f"slice {name}",
            held=float(found.p_value) > level,
            challenger=float(new.mean()),
            incumbent=float(old.mean()),
            limit=float(old.mean()) - margin * error,
        )


def _at_most(name: str, new: float, old: float, limit: float) -> Guardrail:
    return Guardrail(name=name, held=new <= limit, challenger=new, incumbent=old, limit=limit)


def _median(side: Sequence[Scored], name: str) -> float:
    return float(np.median([getattr(scored, name) for scored in side]))


def _median_metric(side: Sequence[Scored], name: str) -> float:
    return float(np.median([scored.metrics[name] for scored in side]))
