"""The noise floor of a run: what the incumbent shows when nothing but luck changes.

Measured when the baselines are tuned, before the search has anything to show: the best tuned
baseline is trained again with other seeds, and its users are drawn again.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from evolver.bench import Bench
from evolver.core import Entry, Scored
from evolver.evaluate.effect import NoiseFloor, noise_floor
from evolver.evaluate.promotion import minimum_effect
from evolver.metrics.statistics import bootstrap_means
from evolver.propose.baselines import is_baseline
from evolver.run import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """`low` to `high`: the incumbent's mean on 95% of redrawn sets of users. `least`: the minimum
    effect, the larger of the share that the settings ask for and what seeds alone can show."""

    number: int
    name: str
    metric: str
    noise: NoiseFloor
    low: float
    high: float
    least: float

    def as_data(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)

    def __str__(self) -> str:
        noise = self.noise
        return (
            f"noise floor: {self.name} (#{self.number}) over {noise.seeds} seeds "
            f"{noise.mean:.4f} ± {noise.seed_deviation:.4f}; over users {self.low:.4f} to "
            f"{self.high:.4f}; a gain counts from {self.least:+.4f} on"
        )


def seeds_of(run: Run) -> tuple[int, ...]:
    """The seeds that everything is measured with; the first is the search's own."""
    return tuple(run.seed + n for n in range(run.config.promote.seeds))


def best_baseline(run: Run) -> Entry | None:
    """The best tuned baseline so far."""
    return run.archive.best(e for e in run.archive.history() if is_baseline(e))


def measure_floor(bench: Bench) -> Floor | None:
    """Train the incumbent with the seeds that are missing. None where no baseline has a score or
    too few of the trainings went well. Raises `OutOfTime`."""
    incumbent = best_baseline(bench.run)
    if incumbent is None:
        return None
    bench.measure_all([(incumbent, "search", seed) for seed in seeds_of(bench.run)])
    return floor_of(bench.run)


def floor_of(run: Run) -> Floor | None:
    """The floor as far as it is recorded; None before two seeds of the incumbent are."""
    incumbent = best_baseline(run)
    if incumbent is None:
        return None
    runs = [
        found.per_user[run.metric].astype(np.float64)
        for found in run.archive.evaluations(incumbent.number, "search").values()
        if isinstance(found, Scored) and run.metric in found.per_user
    ]
    if len(runs) < 2 or len(runs[0]) < 2:
        return None
    values = np.stack(runs)
    noise = noise_floor(values)
    means = bootstrap_means(values.mean(axis=0), resamples=2000, seed=run.seed)
    low, high = np.quantile(means, [0.025, 0.975])
    return Floor(
        number=incumbent.number,
        name=incumbent.candidate.name or incumbent.candidate.family,
        metric=run.metric,
        noise=noise,
        low=float(low),
        high=float(high),
        least=minimum_effect(noise, run.config.promote),
    )
