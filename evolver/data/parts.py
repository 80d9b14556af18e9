"""Which part each row goes to: the four ways to split, and the choice between them."""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from evolver.config import SplitConfig
from evolver.data.dataset import Dataset
from evolver.errors import DataError

SplitKind = Literal["time", "order", "published", "random"]
PARTS: tuple[str, ...] = ("train", "search", "promotion", "test")


def times_differ(dataset: Dataset) -> bool:
    """Whether there are times, and more than one."""
    times = dataset.times
    return times is not None and len(times) > 0 and bool((times != times[0]).any())


def in_order(dataset: Dataset) -> bool:
    """Whether a later row of a user is a later event."""
    return dataset.ordered or times_differ(dataset)


def choose_kind(dataset: Dataset, wanted: str) -> SplitKind:
    """The kind that `wanted` ("auto" or a kind) means for this data.

    "auto": published where the source came split, else time, else order. Raises `DataError` with
    what to do when the data does not have what the kind needs.
    """
    name, times = dataset.name, dataset.times
    same = f"{name} has the same time in every row"
    possible: dict[SplitKind, bool] = {
        "published": dataset.published is not None,
        "time": times_differ(dataset),
        "order": in_order(dataset),
    }
    missing = {
        "published": f"{name} did not come split; use --split time, order or random",
        "time": f"split 'time' needs a time column and {name} has none; "
        "name it with --time, or use --split random"
        if times is None
        else f"split 'time' cannot work: {same}; use --split random",
        "order": f"split 'order' needs times or rows in order and {name} has neither; "
        "use --format sequence if its rows are in order, or --split random",
        "auto": (f"{name} has no times" if times is None else same)
        + " and no known order, so past and future cannot be told apart; "
        "use --split random if that is what you want",
    }
    for kind, can in possible.items():
        if wanted in ("auto", kind) and can:
            return kind
    if wanted == "random":
        return "random"
    raise DataError(missing[wanted])


class Timed(Protocol):
    """Data whose rows may have times."""

    @property
    def name(self) -> str: ...

    @property
    def times(self) -> NDArray[np.int64] | None: ...


def by_time(dataset: Timed, config: SplitConfig) -> tuple[NDArray[np.int8], tuple[int, ...]]:
    """Cut at the rows' quantiles in time; a row at a cutoff is in the later part."""
    times = dataset.times
    if times is None:
        raise DataError(f"{dataset.name} has no times")
    n = len(times)
    later = np.cumsum([config.test, config.promotion, config.search])[::-1]
    ranks = np.clip(n - np.ceil(later * n - 1e-9).astype(np.int64), 0, n - 1)
    cutoffs = np.partition(times, ranks)[ranks]
    assignment = np.zeros(n, dtype=np.int8)
    for cutoff in cutoffs:
        assignment += times >= cutoff
    return assignment, tuple(int(cutoff) for cutoff in cutoffs)


def by_order(dataset: Dataset) -> tuple[NDArray[np.int8], tuple[str, ...]]:
    """Leave-last-out: one row of each user for test, promotion and search, from the end."""
    counts = np.bincount(dataset.users, minlength=dataset.n_users)
    from_end = rows_after(dataset.users, counts)
    assignment = np.where(from_end < 3, 3 - from_end, 0).astype(np.int8)
    short = (counts > 0) & (counts < 4)
    assignment[short[dataset.users]] = 0
    left = int(short.sum())
    note = f"{left:,} users with fewer than 4 rows are in train only"
    return assignment, (note,) if left else ()


def by_publication(
    dataset: Dataset, config: SplitConfig, seed: int
) -> tuple[NDArray[np.int8], tuple[str, ...]]:
    """Keep the published test; carve what is missing out of each user's published train rows.

    At least one train row stays with every user. Published validation becomes search, or, where
    order is known, promotion, so that the parts follow each other in time.
    """
    published = dataset.published
    if published is None:
        raise DataError(f"{dataset.name} did not come split")
    ordered = in_order(dataset)
    assignment = np.zeros(len(dataset), dtype=np.int8)
    assignment[published == 2] = 3
    shares = {1: config.search, 2: config.promotion}
    how = "the newest" if ordered else "a seeded choice"
    if (published == 1).any():
        given = 2 if ordered else 1
        assignment[published == 1] = given
        del shares[given]
        (carved,) = (PARTS[part] for part in shares)
        note = f"published validation is {PARTS[given]}; {carved} is {how} of each user's train"
    else:
        note = f"search and promotion are {how} of each user's published train rows"
    rows = np.flatnonzero(published == 0)
    if not ordered:
        keys = np.random.default_rng([seed, 1]).random(len(rows))
        rows = rows[np.lexsort((keys, dataset.users[rows]))]
    users = dataset.users[rows]
    counts = np.bincount(users, minlength=dataset.n_users)
    from_end = rows_after(users, counts)
    taken = np.zeros(dataset.n_users, dtype=np.int64)
    for part in sorted(shares, reverse=True):
        wanted = np.floor(counts * shares[part] + 0.5).astype(np.int64)
        wanted = np.minimum(wanted, np.maximum(counts - taken - 1, 0))
        inside = (from_end >= taken[users]) & (from_end < (taken + wanted)[users])
        assignment[rows[inside]] = part
        taken += wanted
    return assignment, (note,)


def by_chance(n: int, config: SplitConfig, seed: int) -> NDArray[np.int8]:
    """Draw the part of each row independently."""
    draws = np.random.default_rng([seed, 0]).random(n)
    edges = 1.0 - np.cumsum([config.test, config.promotion, config.search])[::-1]
    return np.searchsorted(edges, draws, side="right").astype(np.int8)


def rows_after(users: NDArray[np.int32], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many rows of the same user follow each row; `users` holds each user's rows together."""
    ends: NDArray[np.int64] = np.cumsum(counts)
    return ends[users] - 1 - np.arange(len(users))
