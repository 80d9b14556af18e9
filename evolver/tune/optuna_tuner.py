"""Random search, TPE and CMA-ES as pure functions of what was observed.

Each call builds its sampler anew from the observations, so a resumed run suggests what an
undisturbed one would have, and threads share nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import optuna
from cmaes import CatCMA
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import create_trial

from evolver.core import Observation, Parameter, Value
from evolver.tune.sampling import (
    Point,
    build,
    draw,
    filled,
    from_unit,
    random_point,
    seeded,
    to_unit,
    unlike_observed,
)

optuna.logging.set_verbosity(optuna.logging.ERROR)


@dataclass
class Random:
    """Uniform over choices and ranges. The arm that every other tuner has to beat."""

    name: str = "random"

    def suggest(
        self, space: Sequence[Parameter], observed: Sequence[Observation], seed: int
    ) -> Mapping[str, Value]:
        return unlike_observed(space, observed, seed, lambda s: random_point(space, seeded(s)))


@dataclass
class TPE:
    """Tree-structured Parzen estimator (Bergstra et al., 2011) from Optuna, multivariate over
    the parameters that every point has, one by one over conditional ones."""

    name: str = "tpe"
    startup: int = 4
    """Random points before the estimator takes over."""

    def suggest(
        self, space: Sequence[Parameter], observed: Sequence[Observation], seed: int
    ) -> Mapping[str, Value]:
        def ask(derived: int) -> Point:
            sampler = optuna.samplers.TPESampler(
                n_startup_trials=self.startup,
                multivariate=True,
                constant_liar=False,
                seed=derived,
            )
            return ask_optuna(sampler, space, observed)

        return unlike_observed(space, observed, seed, ask)


@dataclass
class CMAES:
    """CMA-ES for numbers with a categorical distribution beside it for choices: CatCMA (Hamano
    et al., 2024), replayed over the observations in their order, one generation after another.

    A parameter that a point does not have is filled in from the seed for the update, which moves
    nothing on average.
    """

    name: str = "cmaes"
    population: int = 6
    """Points in a generation; small, because trials are few."""

    def suggest(
        self, space: Sequence[Parameter], observed: Sequence[Observation], seed: int
    ) -> Mapping[str, Value]:
        numbers = [p for p in space if p.kind != "choice"]
        choices = [p for p in space if p.kind == "choice" and len(p.choices) > 1]
        optimizer = self._fresh(numbers, choices)
        known = filled(observed)
        for start in range(0, len(known) - self.population + 1, self.population):
            generation = [
                (_encode(numbers, choices, point, start + row), -value)
                for row, (point, value) in enumerate(known[start : start + self.population])
            ]
            optimizer.tell(generation)

        def ask(derived: int) -> Point:
            optimizer.reseed_rng(derived)
            return _decode(space, numbers, choices, *optimizer.ask())

        return unlike_observed(space, observed, seed, ask)

    def _fresh(self, numbers: Sequence[Parameter], choices: Sequence[Parameter]) -> CatCMA:
        """Before the first generation: around the defaults where there are some.

        The method needs two numbers and a choice; stand-ins that nothing depends on fill up.
        """
        mean = [0.5 if p.default is None else to_unit(p, p.default) for p in numbers]
        mean += [0.5] * (2 - len(mean))
        sizes = [len(p.choices) for p in choices] or [2]
        weights = np.zeros((len(sizes), max(sizes)))
        for row, size in enumerate(sizes):
            weights[row, :size] = 1.0 / size
            if choices and choices[row].default in choices[row].choices:
                weights[row, :size] *= 0.5
                weights[row, choices[row].choices.index(choices[row].default)] += 0.5
        return CatCMA(
            mean=np.array(mean),
            sigma=0.25,
            bounds=np.tile([0.0, 1.0], (len(mean), 1)),
            cat_num=np.array(sizes),
            cat_param=weights,
            population_size=self.population,
            seed=1,
        )


def _encode(
    numbers: Sequence[Parameter], choices: Sequence[Parameter], point: Mapping[str, Value], row: int
) -> tuple[np.ndarray, np.ndarray]:
    """The point as the optimiser sees it: places between bounds, and one-hot rows."""
    rng = seeded("fill", row)
    x = [to_unit(p, point[p.name] if p.name in point else draw(p, rng)) for p in numbers]
    x += [0.5] * (2 - len(x))
    width = max((len(p.choices) for p in choices), default=2)
    c = np.zeros((max(len(choices), 1), width), dtype=bool)
    c[0, 0] = not choices
    for index, p in enumerate(choices):
        value = point[p.name] if p.name in point else draw(p, rng)
        c[index, p.choices.index(value)] = True
    return np.array(x), c


def _decode(
    space: Sequence[Parameter],
    numbers: Sequence[Parameter],
    choices: Sequence[Parameter],
    x: np.ndarray,
    c: np.ndarray,
) -> Point:
    values: Point = {p.name: from_unit(p, float(v)) for p, v in zip(numbers, x, strict=False)}
    for p, row in zip(choices, c, strict=False):
        values[p.name] = p.choices[int(np.argmax(row))]
    return build(space, lambda p: values[p.name] if p.name in values else p.choices[0])


def ask_optuna(
    sampler: optuna.samplers.BaseSampler,
    space: Sequence[Parameter],
    observed: Sequence[Observation],
) -> Point:
    """One point from an in-memory study that was told every observation."""
    study = optuna.create_study(direction="maximize", sampler=sampler)
    known = distributions(space)
    study.add_trials(
        [
            create_trial(
                params=indexed(space, point),
                distributions={name: known[name] for name in known if name in point},
                value=value,
            )
            for point, value in filled(observed)
        ]
    )
    trial = study.ask()
    return build(space, lambda p: suggested(trial, p))


def distributions(space: Sequence[Parameter]) -> dict[str, BaseDistribution]:
    """Optuna's names for the dimensions. A choice is its index, so that True and 1 stay apart."""
    return {p.name: _distribution(p) for p in space}


def indexed(space: Sequence[Parameter], point: Mapping[str, Value]) -> dict[str, Value]:
    """The point with choices as their index."""
    return {
        p.name: p.choices.index(point[p.name]) if p.kind == "choice" else point[p.name]
        for p in space
        if p.name in point
    }


def _distribution(p: Parameter) -> BaseDistribution:
    if p.kind == "choice":
        return CategoricalDistribution(range(len(p.choices)))
    if p.kind == "int":
        return IntDistribution(int(p.low), int(p.high), log=p.log)
    return FloatDistribution(p.low, p.high, log=p.log)


def suggested(trial: optuna.Trial, p: Parameter) -> Value:
    """What the trial has for this parameter."""
    if p.kind == "choice":
        chosen = trial.suggest_categorical(p.name, range(len(p.choices)))
        return p.choices[int(chosen or 0)]
    if p.kind == "int":
        return int(trial.suggest_int(p.name, int(p.low), int(p.high), log=p.log))
    return float(trial.suggest_float(p.name, p.low, p.high, log=p.log))
