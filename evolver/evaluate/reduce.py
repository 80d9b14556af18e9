"""Cheaper judgings, cut out of a whole one: fewer users, shorter histories, or a sliver.

User and item numbers stay what they are, so that a program meets the same shapes; what is left out
has no rows. Scores on a reduced fold can be compared with each other and with nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from evolver.contract import Interactions
from evolver.data.ragged import picked
from evolver.data.split import Fold, Labels

SLIVER_ROWS = 5_000
"""So many training rows are enough to see whether a program runs."""
SLIVER_QUERIES = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduction:
    """What is kept. users: the share of users, in training and among those asked for. history: the
    share of each user's training rows, the latest ones, one at least."""

    users: float = 1.0
    history: float = 1.0

    @property
    def share(self) -> float:
        """The share of the training rows that is kept, roughly."""
        return self.users * self.history

    def __str__(self) -> str:
        parts = [f"{self.users:.0%} of the users"] if self.users < 1 else []
        parts += [f"the latest {self.history:.0%} of each history"] if self.history < 1 else []
        return ", ".join(parts) or "everything"


def reduced(fold: Fold, reduction: Reduction, seed: int) -> Fold:
    """The fold with less in it. Equal arguments give an equal fold.

    At least one user who is asked for stays. Those asked for keep the history that is theirs, so
    that what they had is still masked. `counts` stay those of the whole fold.
    """
    order = np.random.default_rng([seed, 1]).permutation(fold.train.n_users)
    kept = np.zeros(fold.train.n_users, dtype=bool)
    kept[order[: max(1, round(reduction.users * len(order)))]] = True
    if not kept[fold.queries.ids].any():
        kept[fold.queries.ids[:1]] = True
    rows = kept[fold.train.users]
    if reduction.history < 1:
        rows &= _latest(fold.train, reduction.history)
    return _cut(fold, rows, np.flatnonzero(kept[fold.queries.ids]))


def sliver(fold: Fold, seed: int) -> Fold:
    """A fold that takes seconds: a few dozen who are asked for, and a few thousand rows."""
    rng = np.random.default_rng([seed, 2])
    asked = np.sort(rng.permutation(len(fold.queries))[:SLIVER_QUERIES])
    first = fold.queries.ids[asked]
    others = np.setdiff1d(rng.permutation(fold.train.n_users), first, assume_unique=True)
    order = np.concatenate([first, rng.permutation(others)])
    sizes = np.bincount(fold.train.users, minlength=fold.train.n_users)[order]
    kept = np.zeros(fold.train.n_users, dtype=bool)
    kept[order[np.cumsum(sizes) <= SLIVER_ROWS]] = True
    rows = kept[fold.train.users]
    if not rows.any():  # one history is longer than all that a sliver may hold
        rows = np.zeros(len(fold.train), dtype=bool)
        rows[-SLIVER_ROWS:] = True
    trained = np.bincount(fold.train.users[rows], minlength=fold.train.n_users) > 0
    still = trained[first] | ~fold.queries.known[asked]
    return _cut(fold, rows, asked[still] if still.any() else asked)


def _latest(train: Interactions, share: float) -> NDArray[np.bool_]:
    """Marks the last rows of each user; rows of a user lie together, oldest first."""
    sizes = np.bincount(train.users, minlength=train.n_users)
    ends = np.cumsum(sizes)[train.users]
    from_end = ends - np.arange(len(train))
    return np.asarray(from_end <= np.ceil(share * sizes)[train.users])


def _cut(fold: Fold, rows: NDArray[np.bool_], asked: NDArray[np.int64]) -> Fold:
    train, queries = fold.train, fold.queries.take(asked)
    indptr, places = picked(fold.labels.indptr, asked)
    return replace(
        fold,
        train=replace(
            train,
            users=train.users[rows],
            items=train.items[rows],
            times=None if train.times is None else train.times[rows],
            values=None if train.values is None else train.values[rows],
        ),
        queries=replace(queries, known=np.isin(queries.ids, train.users[rows])),
        labels=Labels(indptr=indptr, items=fold.labels.items[places]),
    )
