"""Canaries of labelled tables: in the data, and in what a candidate predicts."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from evolver.contract import Table
from evolver.data.labelled.split import TableFold
from evolver.evaluate.canaries import Alarm
from evolver.metrics.classification import auc

GIVEN_AWAY = 0.995
"""From this AUC on, one column alone tells the label."""
TABLE_CANARIES = ("rows in two parts", "label given away by a feature")
_TWICE = 0.2
_SAME = 1e-4
_ODDLY_GOOD = 4.0
_CLEAR = 5.0  # standard deviations of an AUC that knows nothing

Floats = NDArray[np.float64]


def table_canaries(folds: Iterable[TableFold]) -> tuple[Alarm, ...]:
    """All findings about the parts of one split, alarms first. What a canary says of one part it
    says of others too, mostly: only the first part is told."""
    found: list[Alarm] = []
    for fold in folds:
        known = {alarm.canary for alarm in found}
        where = "" if fold.part == "search" else f"in the {fold.part} part, "
        found += [
            replace(alarm, detail=f"{where}{alarm.detail}")
            for alarm in (*given_away(fold), *rows_in_both(fold))
            if alarm.canary not in known
        ]
    return tuple(sorted(found, key=lambda alarm: alarm.severity))


def given_away(fold: TableFold) -> Iterator[Alarm]:
    """A column from which alone the labels of the part can be told, such as a price that is only
    known after the sale."""
    for what, scores in _column_scores(fold):
        reached = auc(fold.labels, scores)
        if max(reached, 1 - reached) >= GIVEN_AWAY:
            yield Alarm(
                canary="label given away by a feature",
                severity="alarm",
                detail=f"{what} alone reaches an AUC of {max(reached, 1 - reached):.4f}: it is "
                "known only when the label is; leave it out with --column NAME=ignore",
            )


def rows_in_both(fold: TableFold) -> Iterator[Alarm]:
    """Rows that training holds with the same features: they can be known by heart."""
    known = np.unique(_keys(fold.train))
    share = float(np.isin(_keys(fold.asked), known).mean())
    if share > _TWICE:
        yield Alarm(
            canary="rows in two parts",
            severity="warning",
            detail=f"{share:.0%} of the rows to predict are in training too, feature for feature; "
            "results tell of memory there, not of new cases",
        )


def batch_dependence(first: Floats, again: Floats, rows: NDArray[np.int64]) -> Alarm | None:
    """Compare the probabilities of `rows` when everything was asked for with those when only they
    were, in another order. Alarm above 1% of the rows that differ by more than rounding."""
    different = float((np.abs(first[rows] - again) > _SAME).mean()) if len(rows) else 0.0
    if different <= 0.01:
        return None
    return Alarm(
        canary="ranking that depends on the batch",
        severity="alarm",
        detail=f"{different:.0%} of rows get another probability when others are asked for beside "
        "them; what is predicted for a row may depend on the row and on training only",
    )


def shuffled(probabilities: Floats, fold: TableFold, seed: int) -> Alarm | None:
    """Judge the same probabilities on labels of other rows: an evaluator that still gives credit
    does not measure what it says."""
    moved = np.random.default_rng(seed).permutation(fold.labels)
    positive = int(moved.sum())
    negative = len(moved) - positive
    spread = np.sqrt((len(moved) + 1) / (12 * positive * negative))
    reached = auc(moved, probabilities)
    if abs(reached - 0.5) <= _CLEAR * spread:
        return None
    return Alarm(
        canary="metric that rises with shuffled labels",
        severity="alarm",
        detail=f"AUC is {reached:.4f} on labels of other rows: rows and labels do not belong "
        "together",
    )


def oddly_good(metric: str, value: float, best_baseline: float) -> Alarm | None:
    """An alarm where a result leaves a quarter of what the best tuned baseline leaves to
    perfection, or less. It asks for a look and proves nothing."""
    left, usual = 1 - value, 1 - best_baseline
    if left * _ODDLY_GOOD > usual:
        return None
    return Alarm(
        canary="suspiciously good results",
        severity="alarm",
        detail=f"{metric} {value:.4f} leaves {left:.4f} to perfection, the best tuned baseline "
        f"{usual:.4f}; look for a leak before believing it",
    )


def _column_scores(fold: TableFold) -> Iterator[tuple[str, Floats]]:
    """(rows to predict,) for each column: the share of positives that training has for a value."""
    labels = fold.train.labels
    if labels is None:
        raise ValueError("training rows need labels")
    mean = float(labels.mean())
    for column, size in enumerate(fold.train.sizes):
        codes = fold.train.codes[:, column]
        count = np.bincount(codes, minlength=size)
        positive = np.bincount(codes, weights=labels, minlength=size)
        rate = (positive + mean) / (count + 1)
        yield f"'{fold.encoder.categorical[column]}'", rate[fold.asked.codes[:, column]]
    for column, name in enumerate(fold.encoder.scales):
        yield f"'{name}'", fold.asked.numbers[:, column].astype(np.float64)


def _keys(table: Table) -> NDArray[np.uint64]:
    """(n,) a hash of all features of each row."""
    key = np.full(len(table), 0x9E3779B97F4A7C15, dtype=np.uint64)
    columns = [*table.codes.T, *table.numbers.view(np.int32).T]
    for lists in table.lists:
        ends = zip(lists.indptr[:-1].tolist(), lists.indptr[1:].tolist(), strict=True)
        columns.append(
            np.array([zlib.crc32(lists.codes[a:b].tobytes()) for a, b in ends], dtype=np.uint32)
        )
    for column in columns:
        key = (key ^ column.astype(np.uint64)) * np.uint64(0xBF58476D1CE4E5B9)
        key ^= key >> np.uint64(29)
    return key
