"""Four parts: train, search, promotion, test: what a candidate sees of each, and what never.

A part is judged on a `Fold`: training rows are all parts before it, so the search part is judged
after training on train, the promotion part after train + search, the test part after everything
else. `Fold.labels` is the only place that holds what candidates are judged on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evolver.contract import Interactions, Users
from evolver.core import PartName

SplitKind = Literal["time", "order", "published", "random"]
PARTS: tuple[str, ...] = ("train", "search", "promotion", "test")


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

    rows = label_rows + history_rows + repeat_rows + cold_user_rows (+ duplicates of a label).
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
