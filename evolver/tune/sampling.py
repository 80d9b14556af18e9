"""What every tuner shares: random points, numeric coordinates, failures, duplicates, seeds."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np

from evolver.core import Observation, Parameter, Value
from evolver.tune.points import is_active, key

Point = dict[str, Value]
RETRIES = 12


class Rule(Protocol):
    """What does not go together; `evolver.tune.language.Constraint` is one."""

    def names(self) -> Sequence[str]:
        """The parameters that it is about."""
        ...

    def broken_by(self, point: Mapping[str, Value]) -> bool:
        """Whether a point breaks it, or what is decided of one; deciding more mends nothing."""
        ...


def seeded(*parts: int | str) -> np.random.Generator:
    """A generator that depends on every part, and on the process's hash seed not at all."""
    return np.random.default_rng([zlib.crc32(str(part).encode()) for part in parts])


def to_unit(parameter: Parameter, value: Value) -> float:
    """A number's place between its bounds, 0 to 1, by magnitude where the parameter is `log`."""
    low, high, x = parameter.low, parameter.high, float(value)
    if parameter.log:
        low, high, x = math.log(low), math.log(high), math.log(x)
    return (x - low) / (high - low)


def from_unit(parameter: Parameter, place: float) -> Value:
    """The number at a place between the bounds."""
    place = min(max(place, 0.0), 1.0)
    low, high = parameter.low, parameter.high
    if parameter.log:
        number = math.exp(math.log(low) + place * (math.log(high) - math.log(low)))
    else:
        number = low + place * (high - low)
    number = min(max(number, low), high)
    return round(number) if parameter.kind == "int" else number


def draw(parameter: Parameter, rng: np.random.Generator) -> Value:
    """One value, uniform over the choices or over the places between the bounds."""
    if parameter.kind == "choice":
        return parameter.choices[int(rng.integers(len(parameter.choices)))]
    if parameter.kind == "int" and not parameter.log:
        return int(rng.integers(int(parameter.low), int(parameter.high) + 1))
    return from_unit(parameter, float(rng.random()))


def build(space: Sequence[Parameter], value: Callable[[Parameter], Value]) -> Point:
    """A point whose active parameters get their value from `value`, in declared order."""
    point: Point = {}
    for parameter in space:
        if is_active(parameter, point):
            point[parameter.name] = value(parameter)
    return point


def tidy(space: Sequence[Parameter], point: Point) -> Point:
    """Floats at six significant digits, which is what people copy, and within their bounds."""
    bounds = {p.name: (p.low, p.high) for p in space if p.kind == "float"}
    return {
        name: min(max(float(f"{value:.6g}"), bounds[name][0]), bounds[name][1])
        if name in bounds
        else value
        for name, value in point.items()
    }


def random_point(
    space: Sequence[Parameter], rng: np.random.Generator, rules: Sequence[Rule] = ()
) -> Point:
    """A point that breaks no rule, or any point where a few dozen draws find none."""
    point: Point = {}
    for _ in range(RETRIES * 8):
        point = build(space, lambda parameter: draw(parameter, rng))
        if not any(rule.broken_by(point) for rule in rules):
            break
    return point


def filled(observed: Sequence[Observation]) -> list[tuple[Mapping[str, Value], float]]:
    """Every observation with a number that a sampler can learn from.

    A failure must teach: it counts as one observed range below the worst success (1 below where
    all successes are equal; 0 where there is none), so that it is avoided but does not stretch
    the scale. What was stopped lies between the worst success and the failures, in the order of
    its partial scores. Nothing of this leaves the tuner: outside, a failure has no score.
    """
    scores = [o.score for o in observed if o.score is not None]
    worst, best = (min(scores), max(scores)) if scores else (1.0, 1.0)
    reach = (best - worst) or 1.0
    told = zip(observed, shortfalls(observed), strict=True)
    return [(o.point, worst - reach * short if o.score is None else o.score) for o, short in told]


def shortfalls(observed: Sequence[Observation]) -> list[float]:
    """How far below the worst success each observation counts, in observed ranges: 0 for a success,
    1 for a failure, something between for what was stopped."""
    partial = sorted({o.partial for o in observed if o.score is None and o.partial is not None})

    def short(o: Observation) -> float:
        if o.score is not None:
            return 0.0
        if o.partial is None:
            return 1.0
        return 1 - (partial.index(o.partial) + 1) / (len(partial) + 1)

    return [short(o) for o in observed]


def unlike_observed(
    space: Sequence[Parameter],
    observed: Sequence[Observation],
    seed: int,
    ask: Callable[[int], Point],
    retries: int = RETRIES,
) -> Point:
    """What `ask` gives for the first of a few derived seeds whose point is not yet observed;
    after that random points; where even those are all observed, the last one asked."""
    tried = {key(observation.point) for observation in observed}
    point: Point = {}
    for attempt in range(retries):
        point = tidy(space, ask(int(seeded(seed, attempt).integers(2**31 - 1))))
        if key(point) not in tried:
            return point
    rng = seeded(seed, "random")
    for _ in range(RETRIES * 8):
        random = tidy(space, random_point(space, rng))
        if key(random) not in tried:
            return random
    return point
