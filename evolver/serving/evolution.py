"""Static weights by search: the cross-entropy method and CMA-ES. No gradient is needed."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from evolver.serving.problem import SIZE, Problem, Settings

Floats = NDArray[np.float64]
GENERATIONS = 40
_ELITE = 0.2
_KEEP = 0.3
_LEAST = 0.05


def cross_entropy(problem: Problem, settings: Settings, seed: int) -> Floats:
    """(1, m) weights by the cross-entropy method (Rubinstein, 1999): a normal law is fitted again
    and again to the best fifth of what it drew. The best weights that were drawn are returned."""
    rng = np.random.default_rng(seed)
    width = problem.inputs.shape[2]
    size = 20 + 4 * min(width, 20)
    mean, spread = np.zeros(width), np.full(width, 2.0)
    best, most = mean, problem.static_worth(mean, settings)
    for _ in range(settings.steps or GENERATIONS):
        drawn = np.clip(mean + spread * rng.standard_normal((size, width)), -SIZE, SIZE)
        worth = np.array([problem.static_worth(each, settings) for each in drawn])
        elite = drawn[np.argsort(-worth, kind="stable")[: max(2, int(size * _ELITE))]]
        # Part of the old law is kept, and some spread always: a few lucky draws must not end it.
        mean = _KEEP * mean + (1 - _KEEP) * elite.mean(axis=0)
        spread = _KEEP * spread + (1 - _KEEP) * np.maximum(elite.std(axis=0), _LEAST)
        if worth.max() > most:
            best, most = drawn[int(worth.argmax())], float(worth.max())
    return best[None, :]


def covariance_matrix(problem: Problem, settings: Settings, seed: int) -> Floats:
    """(1, m) weights by CMA-ES (Hansen and Ostermeier, 2001), from the `cmaes` package."""
    width = problem.inputs.shape[2]
    if width == 1:  # CMA-ES is for two dimensions or more
        return cross_entropy(problem, settings, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of optional parts at import
        from cmaes import CMA
    search = CMA(
        mean=np.zeros(width),
        sigma=1.5,
        bounds=np.tile([-SIZE, SIZE], (width, 1)),
        seed=seed,
        population_size=max(16, 4 + int(3 * np.log(width))),
    )
    best = np.zeros(width)
    most = problem.static_worth(best, settings)
    for _ in range(settings.steps or 2 * GENERATIONS):
        told = []
        for _ in range(search.population_size):
            weights = search.ask()
            worth = problem.static_worth(weights, settings)
            told.append((weights, -worth))
            if worth > most:
                best, most = weights, worth
        search.tell(told)
        if search.should_stop():
            break
    return best[None, :]
