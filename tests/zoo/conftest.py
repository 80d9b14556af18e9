"""A small world with tastes: every model that learns anything beats popularity on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from evolver.contract import Interactions, Users


@dataclass(frozen=True, kw_only=True)
class World:
    train: Interactions
    queries: Users
    held_out: list[NDArray[np.int32]]


def make_world(n_users: int = 240, n_items: int = 90, groups: int = 6, seed: int = 3) -> World:
    """Users belong to a group and walk through its items in a preferred order, with some noise.

    The last three items of each user are held out. The last user has no rows at all.
    """
    rng = np.random.default_rng(seed)
    size = n_items // groups
    users, items, held_out = [], [], []
    for user in range(n_users - 1):
        group = user % groups
        start, length = rng.integers(size), int(rng.integers(7, 12))
        walk = group * size + (start + np.arange(length)) % size
        noise = rng.random(length) < 0.15
        walk[noise] = rng.integers(n_items, size=int(noise.sum()))
        walk = walk[np.sort(np.unique(walk, return_index=True)[1])]
        users.append(np.full(len(walk) - 3, user))
        items.append(walk[:-3])
        held_out.append(walk[-3:].astype(np.int32))
    train = Interactions(
        users=np.concatenate(users).astype(np.int32),
        items=np.concatenate(items).astype(np.int32),
        n_users=n_users,
        n_items=n_items,
        times=np.arange(sum(map(len, users)), dtype=np.int64) * 3600,
    )
    indptr = train.indptr()[:-1]  # without the user who has no rows
    queries = Users(
        ids=np.arange(n_users - 1, dtype=np.int64),
        known=np.ones(n_users - 1, dtype=bool),
        indptr=indptr,
        items=train.items,
        n_items=n_items,
    )
    return World(train=train, queries=queries, held_out=held_out)


@pytest.fixture(scope="session")
def world() -> World:
    return make_world()
