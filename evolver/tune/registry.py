"""The tuners by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from evolver.core import Tuner
from evolver.errors import UsageError
from evolver.tune.experience import Experience


def _random() -> Tuner:
    from evolver.tune.optuna_tuner import Random

    return Random()


def _tpe() -> Tuner:
    from evolver.tune.optuna_tuner import TPE

    return TPE()


def _cmaes() -> Tuner:
    from evolver.tune.optuna_tuner import CMAES

    return CMAES()


def _evolution() -> Tuner:
    from evolver.tune.evolution import Evolution

    return Evolution()


def _nsga2() -> Tuner:
    from evolver.tune.optuna_more import NSGA2

    return NSGA2()


def _gp() -> Tuner:
    from evolver.tune.optuna_more import GP

    return GP()


def _rl() -> Tuner:
    from evolver.tune.controller import Reinforce

    return Reinforce()


def _ppo() -> Tuner:
    from evolver.tune.ppo import PPO

    return PPO()


TUNERS: dict[str, Callable[[], Tuner]] = {
    "random": _random,
    "tpe": _tpe,
    "cmaes": _cmaes,
    "evolution": _evolution,
    "nsga2": _nsga2,
    "gp": _gp,
    "rl": _rl,
    "ppo": _ppo,
}


def tuner(name: str) -> Tuner:
    """The tuner of that name. Raises UsageError that lists those there are."""
    make = TUNERS.get(name)
    if make is None:
        raise UsageError(f"no tuner named {name!r}; there are {', '.join(TUNERS)}")
    return make()


EXPERIENCED = ("rl", "ppo")
"""The tuners that can learn from earlier runs."""


def experienced(name: str, experience: Sequence[Experience], regime: tuple[float, ...]) -> Tuner:
    """One of `EXPERIENCED`, having learned from earlier runs, if there were any; `regime` is that
    of the data to come."""
    from evolver.tune.controller import Reinforce
    from evolver.tune.ppo import PPO

    made = tuner(name)
    if not isinstance(made, Reinforce | PPO):
        raise ValueError(f"{name!r} cannot learn from earlier runs")
    return replace(made, experience=tuple(experience), regime=regime)
