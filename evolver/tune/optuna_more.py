"""Optuna's genetic algorithm and Gaussian process, for which every parameter must always exist.

A point is completed for them: what it does not have is drawn from the row's own seed. What they
suggest is cut back to the parameters whose conditions hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import optuna

from evolver.core import Observation, Parameter, Value
from evolver.tune.optuna_tuner import distributions, indexed, suggested
from evolver.tune.sampling import (
    Point,
    build,
    draw,
    filled,
    seeded,
    shortfalls,
    unlike_observed,
)


def completed(space: Sequence[Parameter], point: Mapping[str, Value], row: int) -> Point:
    """The point with a value for every parameter, the missing ones drawn from the row's seed."""
    rng = seeded("complete", row)
    drawn = {p.name: draw(p, rng) for p in space}
    return {**drawn, **point}


def cut(space: Sequence[Parameter], point: Mapping[str, Value]) -> Point:
    """Only the parameters that exist."""
    return build(space, lambda p: point[p.name])


@dataclass
class NSGA2:
    """NSGA-II (Deb et al. 2002) from Optuna; observations in their order are its generations.

    With one score it is an elitist genetic algorithm. Where observations carry `objectives`
    (all higher-is-better, equally many), it searches their Pareto front; what was stopped lies
    below the worst of each, and failures below that.
    """

    name: str = "nsga2"
    population: int = 8

    def suggest(
        self, space: Sequence[Parameter], observed: Sequence[Observation], seed: int
    ) -> Mapping[str, Value]:
        told = _objectives(observed)
        width = len(told[0]) if told else 1

        rows = [completed(space, o.point, row) for row, o in enumerate(observed)]

        def ask(derived: int) -> Point:
            sampler = optuna.samplers.NSGAIISampler(
                population_size=self.population,
                mutation_prob=min(0.2, 1.0 / len(space)),
                seed=derived,
            )
            study = optuna.create_study(directions=["maximize"] * width, sampler=sampler)
            mark = _generation_mark()
            study.add_trials(
                [
                    optuna.trial.create_trial(
                        params=indexed(space, row),
                        distributions=distributions(space),
                        values=values,
                        system_attrs={mark: number // self.population},
                    )
                    for number, (row, values) in enumerate(zip(rows, told, strict=True))
                ]
            )
            trial = study.ask()
            return cut(space, {p.name: suggested(trial, p) for p in space})

        return unlike_observed(space, observed, seed, ask)


@cache
def _generation_mark() -> str:
    """Under which name the sampler keeps a trial's generation, learned by looking at one."""
    study = optuna.create_study(sampler=optuna.samplers.NSGAIISampler(seed=0))
    study.add_trial(
        optuna.trial.create_trial(
            params={"x": 0.5},
            distributions={"x": optuna.distributions.FloatDistribution(0.0, 1.0)},
            value=0.0,
        )
    )
    study.ask().suggest_float("x", 0.0, 1.0)
    return next(name for name in study.trials[-1].system_attrs if name.endswith("generation"))


def _objectives(observed: Sequence[Observation]) -> list[tuple[float, ...]]:
    """What each observation is told as: its objectives, else its score; what has none as `filled`
    has it, in each objective."""
    known = [o.objectives for o in observed if o.score is not None and o.objectives]
    if not known:
        return [(value,) for _, value in filled(observed)]
    columns = list(zip(*known, strict=True))
    worst = [(min(column), max(column) - min(column) or 1.0) for column in columns]
    return [
        o.objectives
        if o.score is not None and o.objectives
        else tuple(low - short * reach for low, reach in worst)
        for o, short in zip(observed, shortfalls(observed), strict=True)
    ]


@dataclass
class GP:
    """A Gaussian process with expected improvement, from Optuna. Fits spaces of few dimensions."""

    name: str = "gp"
    startup: int = 6
    most: int = 200
    """The process is fitted to at most so many observations, the best ones: its cost is cubic."""

    def suggest(
        self, space: Sequence[Parameter], observed: Sequence[Observation], seed: int
    ) -> Mapping[str, Value]:
        known = distributions(space)
        rows = sorted(enumerate(filled(observed)), key=lambda row: -row[1][1])[: self.most]
        trials = [
            optuna.trial.create_trial(
                params=indexed(space, completed(space, point, row)),
                distributions=known,
                value=value,
            )
            for row, (point, value) in sorted(rows)
        ]

        def ask(derived: int) -> Point:
            sampler = optuna.samplers.GPSampler(seed=derived, n_startup_trials=self.startup)
            study = optuna.create_study(direction="maximize", sampler=sampler)
            # Leaving out a fifth makes seeds differ: trials that run side by side must.
            kept = seeded(derived).random(len(trials)) >= 0.2
            study.add_trials([t for t, keep in zip(trials, kept, strict=True) if keep])
            trial = study.ask()
            return cut(space, {p.name: suggested(trial, p) for p in space})

        return unlike_observed(space, observed, seed, ask, retries=2)
