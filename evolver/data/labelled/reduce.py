"""Cheaper judgings, cut out of a whole one: fewer users' rows, or a sliver.

Codes stay what they are, so that a program meets the same shapes. Scores on a reduced fold can be
compared with each other and with nothing else.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from evolver.contract import Lists, Table
from evolver.data.labelled.split import TableFold

SLIVER_ROWS = 4_000
SLIVER_ASKED = 1_000


def reduced_table(fold: TableFold, units: float, history: float, seed: int) -> TableFold:
    """The fold with a share of the rows to train on (the latest ones, where `history` is below 1)
    and of the units that are judged. Equal arguments give an equal fold."""
    rng = np.random.default_rng([seed, 1])
    kept = np.zeros(fold.n_units, dtype=bool)
    kept[rng.permutation(fold.n_units)[: max(1, round(units * fold.n_units))]] = True
    rows = rng.random(len(fold.train)) < units
    rows[: round((1 - history) * len(rows))] = False
    return _cut(
        fold, _with_both(fold.train.labels, rows), _with_both(fold.labels, kept[fold.units])
    )


def table_sliver(fold: TableFold, seed: int) -> TableFold:
    """A fold that takes seconds: a few thousand rows."""
    rng = np.random.default_rng([seed, 2])

    def some(count: int, of: int) -> NDArray[np.bool_]:
        chosen = np.zeros(of, dtype=bool)
        chosen[rng.permutation(of)[:count]] = True
        return chosen

    train, asked = some(SLIVER_ROWS, len(fold.train)), some(SLIVER_ASKED, len(fold.asked))
    return _cut(fold, _with_both(fold.train.labels, train), _with_both(fold.labels, asked))


def taken(table: Table, rows: NDArray[np.bool_]) -> Table:
    """The rows of a mask."""
    return replace(
        table,
        codes=table.codes[rows],
        numbers=table.numbers[rows],
        lists=tuple(_listed(each, rows) for each in table.lists),
        labels=None if table.labels is None else table.labels[rows],
        times=None if table.times is None else table.times[rows],
    )


def _listed(lists: Lists, rows: NDArray[np.bool_]) -> Lists:
    sizes = np.diff(lists.indptr)
    indptr = np.concatenate([[0], np.cumsum(sizes[rows])]).astype(np.int64)
    return replace(lists, indptr=indptr, codes=lists.codes[np.repeat(rows, sizes)])


def _with_both(labels: NDArray[np.float32] | None, rows: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask, with a row of each label in it: nothing can be judged without both."""
    if labels is None:
        raise ValueError("rows without labels cannot be chosen by them")
    for label in (0.0, 1.0):
        if not (labels[rows] == label).any():
            rows[np.argmax(labels == label)] = True
    return rows


def _cut(fold: TableFold, rows: NDArray[np.bool_], asked: NDArray[np.bool_]) -> TableFold:
    names, units = np.unique(fold.units[asked], return_inverse=True)
    return replace(
        fold,
        train=taken(fold.train, rows),
        asked=taken(fold.asked, asked),
        labels=fold.labels[asked],
        units=units.astype(np.int64),
        n_units=len(names),
        history=None if fold.history is None else fold.history[names],
    )
