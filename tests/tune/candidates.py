"""Runs compiled candidates in this process: they come from our own templates."""

from __future__ import annotations

import types
from typing import Any

import numpy as np

from evolver.contract import Budget, Interactions, Params, Users
from evolver.core import Candidate


def clustered(n_users: int = 60, n_items: int = 48, seed: int = 0) -> tuple[Interactions, Users]:
    """Users who stay within one of four groups of items, in random order, with times; and the
    users to rank for: the first half of the known ones, and as many unseen with the same habits."""
    rng = np.random.default_rng(seed)
    group = np.arange(n_items) % 4
    histories = []
    for user in range(2 * n_users):
        own = np.flatnonzero(group == user % 4)
        histories.append(rng.permutation(own)[: len(own) * 2 // 3].astype(np.int32))
    train = histories[:n_users]
    times = [np.sort(rng.integers(0, 10_000, len(h))) for h in train]
    asked = [*range(n_users // 2), *range(n_users, n_users + n_users // 2)]
    sizes = [len(histories[user]) for user in asked]
    interactions = Interactions(
        users=np.repeat(np.arange(n_users), [len(h) for h in train]).astype(np.int32),
        items=np.concatenate(train),
        n_users=n_users,
        n_items=n_items,
        times=np.concatenate(times).astype(np.int64),
    )
    users = Users(
        ids=np.array(asked, dtype=np.int64),
        known=np.array(asked) < n_users,
        indptr=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        items=np.concatenate([histories[user] for user in asked]),
        n_items=n_items,
    )
    return interactions, users


def model(candidate: Candidate, ablate: str = "", **overrides: Any) -> Any:
    """A fresh Model of the candidate with its tuned values, without the part to `ablate`."""
    module = types.ModuleType("candidate")
    exec(compile(candidate.source, candidate.name, "exec"), module.__dict__)
    values = {name: declared.default for name, declared in module.TUNABLES.items()}
    values |= dict(candidate.values)
    values |= {name: value for name, value in overrides.items() if name in values}
    return module.Model(Params(values, ablate=ablate))


def fitted(candidate: Candidate, train: Interactions, seconds: float = 60, **overrides: Any) -> Any:
    made = model(candidate, **overrides)
    steps = made.fit(train, Budget(seconds=seconds, seed=3))
    made.steps_seen = list(steps) if steps is not None else []
    return made


def reloaded(candidate: Candidate, fitted_model: Any, **overrides: Any) -> Any:
    """What is judged: a fresh model after `load` of the numpy arrays of `state`."""
    fresh = model(candidate, **overrides)
    fresh.load({name: np.asarray(value) for name, value in fitted_model.state().items()})
    return fresh


def hits(scores: np.ndarray, users: Users) -> float:
    """The share of the best three items, history left out, that are of the user's group."""
    right = []
    for row in range(len(users)):
        history = users.history(row)
        ranked = scores[row].copy()
        ranked[history] = -np.inf
        right.append(np.mean(np.argsort(-ranked)[:3] % 4 == history[0] % 4))
    return float(np.mean(right))
