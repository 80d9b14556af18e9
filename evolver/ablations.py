"""What each declared part of a candidate brings: it is trained without the part and compared.

On the search part, with the seeds of the gate. Not on the promotion part: what comes out of this
reaches the next prompts, and a part that proposals learn from can judge them no longer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from evolver.bench import Bench
from evolver.core import Entry, Failed, Scored
from evolver.evaluate.check import inspect_source
from evolver.evaluate.effect import effect
from evolver.floor import seeds_of
from evolver.run import Run

_INTERVAL = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """With the part less without it, on the run's metric. `failed`: why it cannot be told; the
    numbers are then 0."""

    number: int
    name: str
    difference: float = 0.0
    low: float = 0.0
    high: float = 0.0
    seeds: int = 0
    failed: str = ""

    @property
    def nothing(self) -> bool:
        """Whether nothing was seen of it: its 95% interval does not lie above 0."""
        return not self.failed and self.low <= 0

    def __str__(self) -> str:
        if self.failed:
            return f"{self.name}: cannot be left out ({self.failed})"
        brings = "brings nothing that was seen" if self.nothing else "contributes"
        if self.high < 0:
            brings = "does harm"
        return (
            f"{self.name} {brings}: {self.difference:+.4f} [{self.low:+.4f}, {self.high:+.4f}] "
            f"over {self.seeds} seeds on the search part"
        )


def declared(entry: Entry) -> tuple[str, ...]:
    """The parts that an entry says it can leave out."""
    facts = inspect_source(entry.candidate.source)
    return () if isinstance(facts, Failed) else facts.ablations


def measure_ablations(bench: Bench, entry: Entry) -> tuple[Contribution, ...]:
    """Train the whole and each variant with the seeds that are missing. Raises `OutOfTime`."""
    names = declared(entry)
    if names:
        seeds = seeds_of(bench.run)
        bench.measure_all([(entry, "search", seed) for seed in seeds])
        bench.ablate_all([(entry, name, seed) for name in names for seed in seeds])
    return contributions(bench.run, entry)


def contributions(run: Run, entry: Entry) -> tuple[Contribution, ...]:
    """What is recorded, for each part of which everything is."""
    seeds = seeds_of(run)
    runs = run.archive.evaluations(entry.number, "search")
    whole = [each for seed in seeds if isinstance(each := runs.get(seed), Scored)]
    found: list[Contribution] = []
    for name in declared(entry):
        variants = run.archive.findings.ablations(entry.number, name)
        if len(whole) < len(seeds) or any(seed not in variants for seed in seeds):
            continue
        failures = [v.data["failed"] for seed in seeds if "failed" in (v := variants[seed]).data]
        values = [v.values for seed in seeds if (v := variants[seed]).values is not None]
        if failures or len(values) < len(seeds):
            said = failures[0] if failures else "not judged"
            found.append(Contribution(number=entry.number, name=name, failed=str(said)))
            continue
        with_it = np.stack([scored.per_user[run.metric] for scored in whole]).astype(np.float64)
        gain = effect(with_it, np.stack(values).astype(np.float64))
        half = float(student.ppf(0.5 + _INTERVAL / 2, gain.freedom) * gain.standard_error)
        difference = float(gain.difference)
        found.append(
            Contribution(
                number=entry.number,
                name=name,
                difference=difference,
                low=difference - half,
                high=difference + half,
                seeds=len(seeds),
            )
        )
    return tuple(found)
