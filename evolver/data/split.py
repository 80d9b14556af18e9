"""Four parts: train, search, promotion, test: what a candidate sees of each, and what never.

A part is judged on a `Fold`: training rows are all parts before it, so the search part is judged
after training on train, the promotion part after train + search, the test part after everything
else. `Fold.labels` is the only place that holds what candidates are judged on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from evolver.config import SplitConfig
from evolver.contract import Interactions, Users
from evolver.core import PartName
from evolver.data.dataset import Dataset
from evolver.data.parts import (
    PARTS,
    SplitKind,
    by_chance,
    by_order,
    by_publication,
    by_time,
    choose_kind,
    in_order,
    rows_after,
)
from evolver.errors import ConfigError, DataError

Integer = TypeVar("Integer", np.int32, np.int64)

__all__ = [
    "PARTS",
    "Counts",
    "Fold",
    "Labels",
    "Split",
    "SplitKind",
    "chronological",
    "distinct",
    "interactions",
    "make_fold",
    "make_split",
]


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """Which part each row of the dataset belongs to.

    assignment: (n,) int8, index into `PARTS`. cutoffs: for a time split, the first second of
    search, promotion and test. Equal arguments give an equal split.
    """

    kind: SplitKind
    assignment: NDArray[np.int8]
    seed: int
    fingerprint: str
    cutoffs: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Labels:
    """The held-out items of each query, ascending and unique: CSR over the fold's queries."""

    indptr: NDArray[np.int64]
    items: NDArray[np.int32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Counts:
    """Whom and what a part holds, so that nothing is dropped in silence.

    rows = label_rows + history_rows + repeat_rows + cold_user_rows + duplicate_rows.
    """

    rows: int
    label_rows: int
    history_rows: int
    """Rows of unseen users that became their recent history, not labels."""
    repeat_rows: int
    """Rows whose item the user already had; left out unless repeats are kept."""
    cold_user_rows: int
    known_users: int
    unseen_users: int
    """Not in training, served from the first half of what they did in this part."""
    cold_users: int
    """Not in training and with too few rows here to leave a history; cannot be asked for."""
    cold_items: int
    """Label items that never occur in training; nobody without features can find them."""
    cold_item_rows: int = 0
    """Labels that are such items."""
    duplicate_rows: int = 0
    """Rows whose user and item are a label already; a label counts once."""
    repeat_users: int = 0
    """Not asked for, because all they took in this part they already had."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Fold:
    """One judging: train on `train`, be asked for `queries`, be judged on `labels`.

    For every query `queries` holds the user's history; no label is in it. Lists must not contain
    what is in the history unless `repeats` is True.
    """

    part: PartName
    train: Interactions
    queries: Users
    labels: Labels
    counts: Counts
    repeats: bool


def make_split(dataset: Dataset, config: SplitConfig, seed: int) -> Split:
    """Put every row in one of the four parts.

    time: by global cutoffs at the interaction quantiles; equal times go to the later part.
    order: each user's last row is test, the one before it promotion, the one before that search;
    users with fewer than four rows stay in train. published: test as published; what is missing
    of search and promotion comes out of the published train rows of each user, the newest first
    where order is known, by seeded choice elsewhere. random: each row by a seeded draw.

    Raises `DataError` when the data cannot be split so, or a part would ask for nobody.
    """
    if config.search + config.promotion + config.test > 0.9:
        raise ConfigError(
            "search + promotion + test take more than 0.9 of the rows; leave more for training"
        )
    kind = choose_kind(dataset, config.kind)
    cutoffs: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    if kind == "time":
        assignment, cutoffs = by_time(dataset, config)
    elif kind == "order":
        assignment, notes = by_order(dataset)
    elif kind == "published":
        assignment, notes = by_publication(dataset, config, seed)
    else:
        assignment = by_chance(len(dataset), config, seed)
    split = Split(
        kind=kind,
        assignment=assignment,
        seed=seed,
        fingerprint=dataset.fingerprint,
        cutoffs=cutoffs,
        notes=notes,
    )
    for part in PARTS[1:]:
        _check_part(dataset, split, part)
    return split


def chronological(dataset: Dataset, split: Split) -> bool:
    """Whether a later row of a user is a later event, as far as this split is concerned."""
    return split.kind != "random" and in_order(dataset)


def _check_part(dataset: Dataset, split: Split, part: str) -> None:
    """Refuse a split in which a part has nobody to ask for."""
    number = PARTS.index(part)
    here = np.bincount(dataset.users[split.assignment == number], minlength=dataset.n_users)
    before = np.bincount(dataset.users[split.assignment < number], minlength=dataset.n_users)
    enough = 2 if chronological(dataset, split) else np.iinfo(np.int64).max
    if not ((here > 0) & (before > 0) | (here >= enough)).any():
        raise DataError(_nobody(dataset, split.kind, part, int(here.sum())))


def _nobody(dataset: Dataset, kind: str, part: str, rows: int) -> str:
    size = f"{len(dataset):,} rows of {dataset.n_users:,} users"
    advice = {
        "time": f"give {part} a larger share, or use --split random",
        "order": "use --split time or random: too few users have 4 rows",
        "published": "check the published parts, or use --split random",
        "random": f"give {part} a larger share, or bring more rows",
    }[kind]
    return (
        f"split '{kind}' of {dataset.name} ({size}) leaves {part} with {rows:,} rows "
        f"and nobody to recommend to; {advice}"
    )


def make_fold(dataset: Dataset, split: Split, part: PartName, repeats: bool) -> Fold:
    """What it takes to judge on `part`: training rows, whom to ask for, and the labels.

    Training rows are all rows of the parts before. A user with training rows is asked for with
    all of them as history. A user without is asked for when `part` holds at least two of the
    user's rows in order: the first half (rounded down) becomes the history. Labels are the other
    rows in `part`: unique, ascending, without what the history holds unless `repeats`. A query
    left without labels is dropped. `counts` accounts for every row of the part.
    """
    number = PARTS.index(part)
    n_users, n_items = dataset.n_users, dataset.n_items
    train = split.assignment < number
    here = np.flatnonzero(split.assignment == number)
    users = dataset.users[here]
    trained = np.bincount(dataset.users[train], minlength=n_users)
    size = np.bincount(users, minlength=n_users)
    unseen = (trained == 0) & (size > 0)
    warm_up = np.where(unseen, size // 2, 0)
    if not chronological(dataset, split):
        warm_up[:] = 0
    cold = unseen & (warm_up == 0)
    from_end = rows_after(users, size)
    is_history = from_end >= (size - warm_up)[users]
    is_cold = cold[users]
    asked = ~is_history & ~is_cold

    # One number for each (user, item) makes sets of pairs sorted arrays.
    history = np.sort(
        np.concatenate([np.flatnonzero(train & (size > 0)[dataset.users]), here[is_history]])
    )
    pairs = _pairs(dataset, here[asked])
    labels = distinct(pairs)
    already = np.zeros(len(labels), dtype=np.bool_)
    if not repeats and len(labels):
        taken = _pairs(dataset, history)
        at = np.minimum(np.searchsorted(labels, taken), len(labels) - 1)
        already[at[labels[at] == taken]] = True
    repeat_rows = int(already[np.searchsorted(labels, pairs)].sum()) if already.any() else 0
    labels = labels[~already]
    label_users = labels // n_items
    per_user = np.bincount(label_users, minlength=n_users)
    ids = np.flatnonzero(per_user)
    if not len(ids) and repeat_rows:
        raise DataError(
            f"in {part} users of {dataset.name} take only items that they already had, so there is "
            "nothing new to recommend; use --repeats to count these"
        )
    if not len(ids):
        raise DataError(_nobody(dataset, split.kind, part, len(here)))
    history = history[(per_user > 0)[dataset.users[history]]]
    history_sizes = np.bincount(dataset.users[history], minlength=n_users)[ids]
    label_items = (labels % n_items).astype(np.int32)
    popularity = np.bincount(dataset.items[train], minlength=n_items)
    is_cold_item = popularity[label_items] == 0
    known = trained[ids] > 0
    counts = Counts(
        rows=len(here),
        label_rows=len(labels),
        history_rows=int(is_history.sum()),
        repeat_rows=repeat_rows,
        cold_user_rows=int(is_cold.sum()),
        duplicate_rows=len(pairs) - repeat_rows - len(labels),
        known_users=int(known.sum()),
        unseen_users=int((~known).sum()),
        cold_users=int(cold.sum()),
        repeat_users=int(((size > 0) & ~cold & (per_user == 0)).sum()),
        cold_items=len(distinct(label_items[is_cold_item])),
        cold_item_rows=int(is_cold_item.sum()),
    )
    return Fold(
        part=part,
        train=interactions(dataset, train),
        queries=Users(
            ids=ids,
            known=known,
            indptr=_indptr(history_sizes),
            items=dataset.items[history],
            n_items=n_items,
            times=None if dataset.times is None else dataset.times[history],
        ),
        labels=Labels(indptr=_indptr(per_user[ids]), items=label_items),
        counts=counts,
        repeats=repeats,
    )


def interactions(dataset: Dataset, rows: NDArray[np.bool_]) -> Interactions:
    """The chosen rows (a mask) as a candidate sees them, in the dataset's order."""
    return Interactions(
        users=dataset.users[rows],
        items=dataset.items[rows],
        n_users=dataset.n_users,
        n_items=dataset.n_items,
        times=None if dataset.times is None else dataset.times[rows],
        values=None if dataset.values is None else dataset.values[rows],
        user_features=dataset.user_features,
        item_features=dataset.item_features,
    )


def distinct(values: NDArray[Integer]) -> NDArray[Integer]:
    """The different values, ascending. Sorting is several times faster here than hashing."""
    ordered = np.sort(values)
    return ordered[np.diff(ordered, prepend=ordered[:1] - 1) != 0] if len(ordered) else ordered


def _pairs(dataset: Dataset, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    return dataset.users[rows].astype(np.int64) * dataset.n_items + dataset.items[rows]


def _indptr(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
