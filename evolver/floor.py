"""The noise floor of a run: what the incumbent shows when nothing but luck changes.

Measured when the baselines are tuned, before the search has anything to show: the best tuned
baseline is trained again with other seeds, and its users are drawn again.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from evolver.archive.ranking import ranked
from evolver.bench import Bench, Task
from evolver.core import Entry, Scored
from evolver.evaluate.effect import NoiseFloor, noise_floor
from evolver.evaluate.fingerprint import program_digest
from evolver.evaluate.promotion import minimum_effect
from evolver.metrics.statistics import bootstrap_means
from evolver.propose.baselines import is_baseline
from evolver.run import Run

_RIVALS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """`low` to `high`: the incumbent's mean on 95% of redrawn sets of users. `least`: the minimum
    effect, as far as it can be told before there is a challenger: the largest of the share that the
    settings ask for, what seeds alone can show, and what users alone can show between the
    incumbent and the next best baselines."""

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
    too few of the trainings went well. Raises `OutOfTime`.

    The canaries in results look at one of these trainings, so that each run has had them in its own
    sandbox on its own data, whether or not anybody comes to the gate.
    """
    incumbent = best_baseline(bench.run)
    if incumbent is None:
        return None
    tasks: list[Task] = [(incumbent, "search", seed) for seed in seeds_of(bench.run)]
    bench.measure_all(tasks, probe=tasks[1:2])
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
        least=minimum_effect(noise, _paired_error(run, incumbent), run.config.promote),
    )


def _paired_error(run: Run, incumbent: Entry) -> float:
    """The standard error over users of the difference between the incumbent and another good model:
    the median over the next best baselines; 0 where there are none."""
    entries = ranked([e for e in run.archive.history() if is_baseline(e)], run.metric)
    best = {program_digest(e.candidate.source): e for e in reversed(entries)}
    rivals = [e for e in best.values() if e.number != incumbent.number]
    values = [
        run.archive.per_user(e.number, "search", run.seed)[run.metric].astype(np.float64)
        for e in (incumbent, *ranked(rivals, run.metric)[:_RIVALS])
    ]
    errors = [float((values[0] - v).std(ddof=1) / np.sqrt(len(v))) for v in values[1:]]
    return float(np.median(errors)) if errors else 0.0
