"""From values to what a candidate sees: codes for values that training knows, hashes for others.

An encoder is made from training rows only, so that a value which appears later looks to a
candidate as it will look in production: unknown. Exported packages hold the same vocabularies and
do the same.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evolver.contract import Lists, Table
from evolver.data.labelled.table import LabelledTable, Listed, Numeric

KNOWN_FROM = 2
"""A value that training holds so often has a code of its own; a rarer one shares hashed codes."""
_RARE_A_BUCKET = 4
_MOST_BUCKETS = 1024

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """The values with codes of their own, then `buckets` codes that all others share by hash."""

    known: tuple[str, ...]
    buckets: int

    @property
    def size(self) -> int:
        return len(self.known) + self.buckets

    def codes(self, values: Sequence[str]) -> NDArray[np.int32]:
        """(len(values),) from 0 to size - 1."""
        place = {value: code for code, value in enumerate(self.known)}
        found = [
            place[value] if value in place else len(self.known) + hashed(value, self.buckets)
            for value in values
        ]
        return np.array(found, dtype=np.int32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoder:
    """How columns become a `Table`. categorical: names of the columns of `Table.codes`. scales:
    (mean, deviation) in training of each column of `Table.numbers`, by name. listed: name,
    vocabulary and whether it is ordered, of each of `Table.lists`. vocabularies: by name."""

    categorical: tuple[str, ...]
    listed: tuple[tuple[str, str, bool], ...]
    vocabularies: Mapping[str, Vocabulary]
    scales: Mapping[str, tuple[float, float]]

    def encode(self, table: LabelledTable, rows: Bools, *, labels: bool) -> Table:
        """The chosen rows (a mask) as a candidate sees them; with their labels only when asked."""
        lookups = {
            name: self.vocabularies[name].codes(values)
            for name, values in table.vocabularies.items()
        }
        names = self.categorical
        codes = [lookups[c.name][c.codes[rows]] for c in table.categorical]
        numbers = [self._standardised(c, rows) for c in table.numeric]
        count = int(rows.sum())
        return Table(
            codes=np.stack(codes, axis=1) if codes else np.zeros((count, 0), dtype=np.int32),
            sizes=tuple(self.vocabularies[name].size for name in names),
            numbers=np.stack(numbers, axis=1)
            if numbers
            else np.zeros((count, 0), dtype=np.float32),
            lists=tuple(self._lists(c, rows, lookups, names) for c in table.listed),
            labels=table.labels[rows] if labels else None,
            times=None if table.times is None else table.times[rows],
            user=names.index(table.user) if table.user in names else None,
            item=names.index(table.item) if table.item in names else None,
        )

    def _standardised(self, column: Numeric, rows: Bools) -> NDArray[np.float32]:
        mean, deviation = self.scales[column.name]
        return np.nan_to_num((column.values[rows] - mean) / deviation).astype(np.float32)

    def _lists(
        self,
        column: Listed,
        rows: Bools,
        lookups: Mapping[str, NDArray[np.int32]],
        names: Sequence[str],
    ) -> Lists:
        sizes = np.diff(column.indptr)
        shared = column.vocabulary
        return Lists(
            indptr=np.concatenate([[0], np.cumsum(sizes[rows])]).astype(np.int64),
            codes=lookups[shared][column.codes[np.repeat(rows, sizes)]],
            size=self.vocabularies[shared].size,
            ordered=column.ordered,
            column=names.index(shared) if shared in names else None,
        )


def make_encoder(table: LabelledTable, rows: Bools) -> Encoder:
    """An encoder from the chosen rows (a mask): those that a candidate is trained on."""
    counts = {name: np.zeros(len(v), dtype=np.int64) for name, v in table.vocabularies.items()}
    for column in table.categorical:
        counts[column.name] += np.bincount(column.codes[rows], minlength=len(counts[column.name]))
    for listed in table.listed:
        seen = listed.codes[np.repeat(rows, np.diff(listed.indptr))]
        counts[listed.vocabulary] += np.bincount(seen, minlength=len(counts[listed.vocabulary]))
    return Encoder(
        categorical=tuple(column.name for column in table.categorical),
        listed=tuple((c.name, c.vocabulary, c.ordered) for c in table.listed),
        vocabularies={
            name: _vocabulary(table.vocabularies[name], count) for name, count in counts.items()
        },
        scales={column.name: _scale(column.values[rows]) for column in table.numeric},
    )


def hashed(value: str, buckets: int) -> int:
    """Which of the shared codes an unknown value gets: CRC-32, which any language has."""
    return zlib.crc32(value.encode("utf-8", "surrogatepass")) % buckets


def _vocabulary(values: Sequence[str], counts: NDArray[np.int64]) -> Vocabulary:
    """Codes in the order of hashes: that of names may tell how old a value is."""
    known = [values[place] for place in np.flatnonzero(counts >= KNOWN_FROM).tolist()]
    known.sort(key=lambda value: (hashed(value, 1 << 32), value))
    rare = int(((counts > 0) & (counts < KNOWN_FROM)).sum())
    return Vocabulary(known=tuple(known), buckets=min(_MOST_BUCKETS, 1 + rare // _RARE_A_BUCKET))


def _scale(values: NDArray[np.float64]) -> tuple[float, float]:
    """Mean and deviation of what is there; a column that never changes keeps its scale."""
    usable = values[np.isfinite(values)]
    if not len(usable):
        return 0.0, 1.0
    deviation = float(usable.std())
    return float(usable.mean()), deviation if deviation > 0 else 1.0
