"""Which row of a labelled table is trained on, and which are judged when; never a label too many.

Parts follow each other as with interactions: the search part is judged after training on train, the
promotion part after train + search, the test part after everything else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evolver.config import SplitConfig
from evolver.contract import Table
from evolver.core import PartName
from evolver.data.labelled.encode import Encoder, make_encoder
from evolver.data.labelled.table import LabelledTable
from evolver.data.parts import PARTS, SplitKind, by_chance, by_time
from evolver.data.split import Split
from evolver.errors import ConfigError, DataError

BLOCKS = 2_000
"""Rows without a user are resampled in so many runs of consecutive rows, at most."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TableFold:
    """One judging: train on `train`, predict `asked`, be judged on `labels`.

    labels: (len(asked),) float32, the only place that holds them. units: (len(asked),) int64, the
    unit that each row belongs to, from 0 to n_units - 1: its user, or where nobody is named a run
    of consecutive rows. Statistics resample units. history: (n_units,) int64, how many training
    rows the user has; None where units are no users.
    """

    part: PartName
    train: Table
    asked: Table
    labels: NDArray[np.float32]
    units: NDArray[np.int64]
    n_units: int
    history: NDArray[np.int64] | None
    encoder: Encoder


def split_table(table: LabelledTable, config: SplitConfig, seed: int) -> Split:
    """Put every row in one of the four parts.

    published: test as published; published validation is cut in two, the older half (else a seeded
    half) is search, the other promotion; without one, both come out of the published train rows.
    time: by global cutoffs at the rows' quantiles. random: each row by a seeded draw. auto: the
    first of these that the data allows. Raises DataError where a part would lack rows of a label.
    """
    if config.search + config.promotion + config.test > 0.9:
        raise ConfigError(
            "search + promotion + test take more than 0.9 of the rows; leave more for training"
        )
    kind = _kind(table, config.kind)
    cutoffs: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    if kind == "published":
        assignment, notes = _published(table, config, seed)
    elif kind == "time":
        assignment, cutoffs = by_time(table, config)
    else:
        assignment = by_chance(len(table), config, seed)
    _check(table, assignment, kind)
    return Split(
        kind=kind,
        assignment=assignment,
        seed=seed,
        fingerprint=table.fingerprint,
        cutoffs=cutoffs,
        notes=notes,
    )


def fold_table(table: LabelledTable, split: Split, part: PartName) -> TableFold:
    """What it takes to judge on `part`. Its encoder knows the rows before it and nothing else."""
    number = PARTS.index(part)
    return _fold(table, split.assignment < number, split.assignment == number, part)


def whole_table(table: LabelledTable, asked: int) -> TableFold:
    """To train on all rows and predict the first `asked` of them; there is nothing left to judge
    on."""
    everything = np.ones(len(table), dtype=np.bool_)
    return _fold(table, everything, np.arange(len(table)) < asked, "test")


def _fold(
    table: LabelledTable, before: NDArray[np.bool_], here: NDArray[np.bool_], part: PartName
) -> TableFold:
    """To train on the rows `before` and predict those `here`."""
    encoder = make_encoder(table, before)
    units, n_units, history = _units(table, before, here)
    return TableFold(
        part=part,
        train=encoder.encode(table, before, labels=True),
        asked=encoder.encode(table, here, labels=False),
        labels=table.labels[here],
        units=units,
        n_units=n_units,
        history=history,
        encoder=encoder,
    )


def blocks_of(rows: int) -> tuple[NDArray[np.int64], int]:
    """(rows,) the run of consecutive rows that each belongs to, all about as long; how many."""
    count = min(rows, BLOCKS)
    return np.arange(rows, dtype=np.int64) * count // max(rows, 1), count


def _units(
    table: LabelledTable, before: NDArray[np.bool_], here: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], int, NDArray[np.int64] | None]:
    users = table.codes_of(table.user)
    if users is None:
        return *blocks_of(int(here.sum())), None
    names, units = np.unique(users[here], return_inverse=True)
    trained = np.bincount(users[before], minlength=int(users.max()) + 1)
    return units.astype(np.int64), len(names), trained[names].astype(np.int64)


def _kind(table: LabelledTable, wanted: str) -> SplitKind:
    times = table.times
    timed = times is not None and len(times) > 0 and bool((times != times[0]).any())
    possible: dict[SplitKind, bool] = {
        "published": table.published is not None,
        "time": timed,
        "random": True,
    }
    for kind, can in possible.items():
        if wanted in ("auto", kind) and can:
            return kind
    missing = {
        "published": "did not come split; use --split time or random",
        "time": "has no times that differ; name them with --time, or use --split random",
        "order": "is a labelled table, whose rows have no order; use --split time or random",
    }
    raise DataError(f"{table.name} {missing[wanted]}")


def _published(
    table: LabelledTable, config: SplitConfig, seed: int
) -> tuple[NDArray[np.int8], tuple[str, ...]]:
    published = table.published
    if published is None:
        raise DataError(f"{table.name} did not come split")
    assignment = np.where(published == 2, 3, 0).astype(np.int8)
    validation = np.flatnonzero(published == 1)
    source = validation if len(validation) else np.flatnonzero(published == 0)
    order = _order(table, source, seed)
    if len(validation):
        assignment[order] = 2
        assignment[order[: len(order) // 2]] = 1
        how = "by time" if table.times is not None else "by a seeded choice"
        return assignment, (f"published validation is cut in two, search and promotion, {how}",)
    sizes = [round(len(source) * share) for share in (config.promotion, config.search)]
    assignment[order[len(order) - sizes[0] :]] = 2
    assignment[order[len(order) - sum(sizes) : len(order) - sizes[0]]] = 1
    how = "the newest" if table.times is not None else "a seeded choice"
    return assignment, (f"search and promotion are {how} of the published train rows",)


def _order(table: LabelledTable, rows: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """The rows from oldest to newest; shuffled where no times are known."""
    if table.times is None:
        return np.random.default_rng([seed, 3]).permutation(rows)
    return rows[np.argsort(table.times[rows], kind="stable")]


def _check(table: LabelledTable, assignment: NDArray[np.int8], kind: str) -> None:
    for number, part in enumerate(PARTS):
        here = table.labels[assignment == number]
        positive = int(here.sum())
        if not positive or positive == len(here):
            raise DataError(
                f"split '{kind}' of {table.name} leaves {part} with {len(here):,} rows, "
                f"{positive:,} of them positive; both labels are needed in every part: give it a "
                "larger share, or use --split random"
            )
