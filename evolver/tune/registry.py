"""The tuners by name."""

from __future__ import annotations

from collections.abc import Callable

from evolver.core import Tuner
from evolver.errors import UsageError


def _random() -> Tuner:
    from evolver.tune.optuna_tuner import Random

    return Random()


def _tpe() -> Tuner:
    from evolver.tune.optuna_tuner import TPE

    return TPE()


def _cmaes() -> Tuner:
    from evolver.tune.optuna_tuner import CMAES

    return CMAES()


TUNERS: dict[str, Callable[[], Tuner]] = {"random": _random, "tpe": _tpe, "cmaes": _cmaes}


def tuner(name: str) -> Tuner:
    """The tuner of that name. Raises UsageError that lists those there are."""
    make = TUNERS.get(name)
    if make is None:
        raise UsageError(f"no tuner named {name!r}; there are {', '.join(TUNERS)}")
    return make()
