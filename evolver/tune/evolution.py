"""Regularised evolution: the youngest live, the best of a few is copied and changed a little."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evolver.core import Observation, Parameter, Value
from evolver.tune.points import is_active
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


@dataclass
class Evolution:
    """Ageing evolution (Real et al. 2019) over typed points.

    The population is the latest `population` observations, so that a lucky score is forgotten;
    the parent is the best of `tournament` drawn from it. A number takes a Gaussian step, a choice
    another value; what a changed choice brings into existence is drawn anew.
    """

    name: str = "evolution"
    startup: int = 6
    population: int = 24
    tournament: int = 8
    step: float = 0.15
    """Standard deviation of a number's step, in parts of its range."""

    def suggest(
        self, space: Sequence[Parameter], observed: Sequence[Observation], seed: int
    ) -> Mapping[str, Value]:
        living = filled(observed)[-self.population :]

        def ask(derived: int) -> Point:
            rng = seeded(derived)
            if len(observed) < self.startup:
                return random_point(space, rng)
            size = min(self.tournament, len(living))
            drawn = [living[i] for i in rng.choice(len(living), size, replace=False)]
            return self._mutated(space, max(drawn, key=lambda pair: pair[1])[0], rng)

        return unlike_observed(space, observed, seed, ask)

    def _mutated(
        self, space: Sequence[Parameter], parent: Mapping[str, Value], rng: np.random.Generator
    ) -> Point:
        active = [p for p in space if p.name in parent and is_active(p, parent)]
        changes = min(int(rng.geometric(0.6)), len(active))
        chosen = {active[i].name for i in rng.choice(len(active), changes, replace=False)}

        def value(p: Parameter) -> Value:
            if p.name not in parent:
                return draw(p, rng)
            if p.name not in chosen:
                return parent[p.name]
            if p.kind != "choice":
                return from_unit(p, to_unit(p, parent[p.name]) + rng.normal(0, self.step))
            others = [choice for choice in p.choices if choice != parent[p.name]] or [*p.choices]
            return others[int(rng.integers(len(others)))]

        return build(space, value)
