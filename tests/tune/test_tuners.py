"""Every tuner passes the one suite, and the clever ones are cleverer than chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf

import pytest

from evolver.core import Observation, Parameter, Tuner, Value
from evolver.errors import UsageError
from evolver.testing import TUNER_SPACE, tuner_conformance
from evolver.tune.controller import Reinforce
from evolver.tune.experience import Experience
from evolver.tune.language import Constraint, Range
from evolver.tune.optuna_more import GP, NSGA2, _objectives
from evolver.tune.ppo import PPO
from evolver.tune.registry import TUNERS, tuner
from evolver.tune.sampling import filled, random_point, seeded, unlike_observed

BOWL = (
    Parameter(name="kind", kind="choice", choices=("bad", "good", "worse"), default="bad"),
    Parameter(name="x", kind="float", low=0.0, high=1.0, default=0.5),
    Parameter(name="y", kind="float", low=1e-4, high=1.0, log=True, default=0.01),
    Parameter(name="n", kind="int", low=1, high=64, log=True, default=8),
)


def bowl(point: Mapping[str, Value]) -> float:
    """Best at kind good, x 0.8, y 0.1, n 32; the best is 0."""
    from math import log

    x, y, n = float(point["x"]), float(point["y"]), float(point["n"])
    off = {"good": 0.0, "bad": 0.5, "worse": 1.0}[str(point["kind"])]
    return -(off + (x - 0.8) ** 2 + (log(y / 0.1) / 5) ** 2 + (log(n / 32) / 4) ** 2)


def search(which: Tuner, trials: int, seed: int) -> float:
    observed: list[Observation] = []
    for number in range(trials):
        point = which.suggest(BOWL, observed, seed * 1000 + number)
        observed.append(Observation(point=point, score=bowl(point)))
    return max(o.score for o in observed if o.score is not None)


class FixedGrid:
    """A fake: walks through points drawn from one generator, skipping what is observed."""

    name = "grid"

    def suggest(
        self, space: Sequence[Parameter], observed: Sequence[Observation], seed: int
    ) -> Mapping[str, Value]:
        return unlike_observed(space, observed, 0, lambda s: random_point(space, seeded(s, seed)))


@pytest.mark.parametrize("name", sorted(set(TUNERS) - {"gp", "ppo", "rl"}))
def test_conforms(name: str) -> None:
    tuner_conformance(tuner(name))


def test_the_controller_conforms() -> None:
    tuner_conformance(Reinforce(updates=3), trials=10)


def test_the_gaussian_process_conforms() -> None:
    tuner_conformance(GP(startup=3), trials=5)


def test_proximal_policy_optimisation_conforms() -> None:
    pytest.importorskip("stable_baselines3", reason="needs the extra rl")
    tuner_conformance(PPO(startup=3, steps=256), trials=5)


def test_a_fake_conforms() -> None:
    tuner_conformance(FixedGrid())


def test_the_suite_catches_a_tuner_that_ignores_conditions() -> None:
    class Broken:
        name = "broken"

        def suggest(
            self, space: Sequence[Parameter], observed: Sequence[Observation], seed: int
        ) -> Mapping[str, Value]:
            return {p.name: p.choices[0] if p.kind == "choice" else p.low for p in space}

    with pytest.raises(AssertionError, match="is a point of the space"):
        tuner_conformance(Broken())


@pytest.mark.parametrize(("name", "seeds"), [("tpe", 3), ("cmaes", 8), ("evolution", 8), ("rl", 2)])
def test_beats_random_where_there_is_structure(name: str, seeds: int) -> None:
    best = [search(tuner(name), 40, seed) for seed in range(seeds)]
    chance = [search(tuner("random"), 40, seed) for seed in range(seeds)]
    assert sum(best) > sum(chance)


RULED = (
    Parameter(name="kind", kind="choice", choices=("a", "b", "c")),
    Parameter(name="side", kind="choice", choices=("left", "right"), when=("kind", ("a", "b"))),
    Parameter(name="width", kind="int", low=1, high=200),
    Parameter(name="first", kind="float", low=0.0, high=1.0),
    Parameter(name="last", kind="float", low=0.0, high=1.0),
)
RULES = (
    Constraint(forbid={"kind": ("a", "c"), "width": Range(above=55)}, why="too wide"),
    Constraint(forbid={"kind": "b", "side": "right"}, why="there is none"),
    Constraint(ascending=("first", "last"), why="one after the other"),
)


@pytest.mark.parametrize("name", ["rl", "ppo"])
def test_controllers_keep_to_the_rules_of_a_space(name: str) -> None:
    """Rewards pull towards what is ruled out; nothing that comes has to be mended."""
    if name == "ppo":
        pytest.importorskip("stable_baselines3", reason="needs the extra rl")
    plain = Reinforce(updates=4) if name == "rl" else PPO(steps=256)
    lawful = plain.within(RULES)
    broken = 0
    observed: list[Observation] = []
    for number in range(12 if name == "rl" else 5):
        point = lawful.suggest(RULED, observed, number)
        assert not [str(rule) for rule in RULES if rule.broken_by(point)]
        worth = float(point["width"]) / 200 + float(point["first"]) - float(point["last"])
        observed.append(Observation(point=point, score=worth))
        other = plain.suggest(RULED, observed, number)
        broken += any(rule.broken_by(other) for rule in RULES)
    assert broken > 0


def test_an_unknown_tuner_is_one_clear_line() -> None:
    with pytest.raises(UsageError, match=r"no tuner named 'magic'; there are random, tpe"):
        tuner("magic")


def test_failures_count_as_worse_than_the_worst_success() -> None:
    point = random_point(TUNER_SPACE, seeded(1))
    scores = [0.2, None, 0.6]
    told = [score for _, score in filled([Observation(point=point, score=s) for s in scores])]
    assert told == pytest.approx([0.2, -0.2, 0.6])
    assert filled([Observation(point=point, score=None)])[0][1] == 0.0


def test_what_was_stopped_lies_between_successes_and_failures_in_every_objective() -> None:
    point = random_point(TUNER_SPACE, seeded(1))
    told = _objectives(
        [
            Observation(point=point, score=0.5, objectives=(0.5, -10.0)),
            Observation(point=point, score=0.7, objectives=(0.7, -30.0)),
            Observation(point=point, score=None),
            Observation(point=point, score=None, partial=0.3),
            Observation(point=point, score=None, partial=-inf),
        ]
    )
    (*_, failed, low, at_once) = told
    assert told[:2] == [(0.5, -10.0), (0.7, -30.0)]
    assert failed == pytest.approx((0.3, -50.0))
    assert all(f < s < lo < w for f, s, lo, w in zip(failed, at_once, low, (0.5, -30), strict=True))


def test_several_objectives_are_searched_for_their_front() -> None:
    space = (
        Parameter(name="x", kind="float", low=0.0, high=1.0, default=0.5),
        Parameter(name="waste", kind="float", low=0.0, high=1.0, default=0.5),
    )
    observed: list[Observation] = []
    for number in range(64):
        point = NSGA2().suggest(space, observed, number)
        x, waste = float(point["x"]), float(point["waste"])
        both = (x - waste, 1 - x - waste)  # the front: any x, no waste
        failed = number == 5
        observed.append(
            Observation(
                point=point,
                score=None if failed else both[0],
                objectives=() if failed else both,
            )
        )
    waste = [float(o.point["waste"]) for o in observed]
    places = [float(o.point["x"]) for o in observed[-24:]]
    assert sum(waste[-24:]) < 0.7 * sum(waste[:24])
    assert max(places) - min(places) > 0.3


def test_the_controller_learns_and_takes_experience_along() -> None:
    chance = tuner("random")
    earlier: list[Observation] = []
    for number in range(40):
        point = chance.suggest(BOWL, earlier, number)
        earlier.append(Observation(point=point, score=10 * bowl(point) - 3))  # another scale
    told = Experience(observed=tuple(earlier))
    warm = [Reinforce(experience=(told,)).suggest(BOWL, (), seed) for seed in range(10)]
    cold = [Reinforce().suggest(BOWL, (), seed) for seed in range(10)]
    assert sum(p["kind"] == "good" for p in warm) > sum(p["kind"] == "good" for p in cold)
    assert sum(p["kind"] == "good" for p in warm) >= 5
