"""One judging of a pipeline: the fold that it is judged on, and one inside it that ranking learns
from.

The inner fold splits the training rows of the outer one again, in the same way: by time where the
split is by time, by the order of each user's rows elsewhere. Recall agents are fitted twice, on the
inner training rows and on all of them. From the first come the lists that ranking learns from, with
labels that are training rows of the judging; from the second those that are judged.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from evolver.core import PartName
from evolver.data.dataset import Dataset
from evolver.data.parts import PARTS, rows_after
from evolver.data.split import Fold, Split, chronological, make_fold

INNER_SHARE = 0.15
"""Of the training rows, the latest so many are the labels that ranking learns from."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PipelineFold(Fold):
    """A fold, and the one inside its training rows, whose labels are training rows here."""

    inner: Fold


def pipeline_fold(dataset: Dataset, split: Split, part: PartName, repeats: bool) -> PipelineFold:
    """The fold of a part with its inner one. Raises DataError where the training rows cannot be
    split again."""
    whole = make_fold(dataset, split, part, repeats)
    inner = make_fold(dataset, inner_split(dataset, split, part), "search", repeats)
    return nested(whole, inner)


def nested(whole: Fold, inner: Fold) -> PipelineFold:
    """The two as one."""
    return PipelineFold(
        **{each.name: getattr(whole, each.name) for each in fields(Fold)}, inner=inner
    )


def inner_split(dataset: Dataset, split: Split, part: PartName) -> Split:
    """The training rows of a part split again: the last of them are "search", all that the part and
    the later ones hold is "test", which the inner fold does not look at."""
    train = split.assignment < PARTS.index(part)
    assignment = np.where(train, 0, PARTS.index("test")).astype(np.int8)
    assignment[_latest(dataset, split, train)] = PARTS.index("search")
    return replace(split, assignment=assignment, cutoffs=(), notes=())


def _latest(dataset: Dataset, split: Split, train: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The rows of the training part that are held back."""
    rows = np.flatnonzero(train)
    if split.kind == "time" and dataset.times is not None:
        times = dataset.times[rows]
        cut = np.quantile(times, 1.0 - INNER_SHARE, method="higher")
        return np.asarray(rows[times >= cut])
    users = dataset.users[rows]
    sizes = np.bincount(users, minlength=dataset.n_users)
    if chronological(dataset, split):
        back = rows_after(users, sizes)
    else:  # no order is known: a seeded choice from each user's rows
        chance = np.random.default_rng([split.seed, 11]).random(len(rows))
        order = np.lexsort((chance, users))
        back = np.empty(len(rows), dtype=np.int64)
        back[order] = rows_after(users[order], sizes)
    # as many of each user's as leave-last-out judges: one, where at least two stay
    return np.asarray(rows[(back < _held(split, sizes)[users]) & (sizes[users] > 2)])


def _held(split: Split, sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n_users,) how many rows of each user are held back."""
    if split.kind == "order":
        return np.ones_like(sizes)
    return np.maximum(1, np.round(sizes * INNER_SHARE)).astype(np.int64)
