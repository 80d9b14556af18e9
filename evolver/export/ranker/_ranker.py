"""Probabilities for rows of plain values, from a trained model, with nothing but this package."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from . import _candidate, _prediction
from ._contract import Lists, Params, Table

LONGEST_LIST = 200

Row = Mapping[str, Any]


def load() -> Ranker:
    """The trained model. Reads the weights once; keep what it returns."""
    with as_file(files(__package__)) as folder:
        return Ranker(Path(folder))


class Ranker:
    """Says how likely the label of a row is 1.

    A row maps names of columns to values: text or whole numbers for categories, numbers, and lists
    (or text with | between) for features of several values. A value that the model was not trained
    on is served as an unknown one, a column that is missing as an empty value; other columns are
    not looked at.
    """

    def __init__(self, folder: Path) -> None:
        data = folder / "data"
        self._facts: dict[str, Any] = json.loads((data / "facts.json").read_text("utf-8"))
        told: dict[str, Any] = json.loads((data / "encoder.json").read_text("utf-8"))
        self._told = told
        self._codes = {
            name: {value: code for code, value in enumerate(each["known"])}
            for name, each in told["vocabularies"].items()
        }
        self._model = _candidate.Model(Params(self._facts["values"]))
        self._model.load(load_file(folder / "weights.safetensors"))

    @property
    def columns(self) -> dict[str, str]:
        """The columns that are looked at, each with what it holds."""
        told = self._told
        return {
            **dict.fromkeys(told["categorical"], "category"),
            **dict.fromkeys(told["scales"], "number"),
            **{n: "sequence" if ordered else "set" for n, _, ordered in told["listed"]},
        }

    @property
    def facts(self) -> dict[str, Any]:
        """What this package is: candidate, settings, data fingerprint, measured figures."""
        return dict(self._facts)

    def predict(
        self, rows: Sequence[Row], *, times: Sequence[int] | None = None
    ) -> NDArray[np.float64]:
        """(len(rows),) the probability of label 1 for each; many rows at once are much faster.

        times: seconds since 1970 for each row. Where the model was trained with times and none are
        given, all get the latest one in the training data. Raises ValueError on times that are not
        one a row.
        """
        return _prediction.predict(self._model, self.table(rows, times))

    def table(self, rows: Sequence[Row], times: Sequence[int] | None = None) -> Table:
        """The rows as the model sees them."""
        told, count = self._told, len(rows)
        codes = [
            self._column(name, [row.get(name) for row in rows]) for name in told["categorical"]
        ]
        numbers = [
            _standardised([row.get(name) for row in rows], *scale)
            for name, scale in told["scales"].items()
        ]
        return Table(
            codes=np.stack(codes, axis=1) if codes else np.zeros((count, 0), dtype=np.int32),
            sizes=tuple(self._size(name) for name in told["categorical"]),
            numbers=np.stack(numbers, axis=1)
            if numbers
            else np.zeros((count, 0), dtype=np.float32),
            lists=tuple(self._lists(rows, *each) for each in told["listed"]),
            times=self._times(count, times),
            user=told["user"],
            item=told["item"],
        )

    def _size(self, vocabulary: str) -> int:
        return len(self._codes[vocabulary]) + int(self._told["vocabularies"][vocabulary]["buckets"])

    def _column(self, vocabulary: str, values: Sequence[Any]) -> NDArray[np.int32]:
        known = self._codes[vocabulary]
        buckets = self._told["vocabularies"][vocabulary]["buckets"]
        found = [
            known[text] if text in known else len(known) + _hashed(text, buckets)
            for text in map(_text, values)
        ]
        return np.array(found, dtype=np.int32)

    def _lists(self, rows: Sequence[Row], name: str, vocabulary: str, ordered: bool) -> Lists:
        values = [_several(row.get(name)) for row in rows]
        flat = [value for each in values for value in each]
        sizes = [len(each) for each in values]
        names = self._told["categorical"]
        return Lists(
            indptr=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            codes=self._column(vocabulary, flat),
            size=self._size(vocabulary),
            ordered=ordered,
            column=names.index(vocabulary) if vocabulary in names else None,
        )

    def _times(self, count: int, given: Sequence[int] | None) -> NDArray[np.int64] | None:
        latest = self._told["latest_time"]
        if given is not None and len(given) != count:
            raise ValueError(f"{count} rows but {len(given)} times")
        if latest is None:
            return None
        return (
            np.full(count, latest, dtype=np.int64) if given is None else np.array(given, np.int64)
        )


def _text(value: Any) -> str:
    """A category as it was read when the model was trained."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value).strip()


def _several(value: Any) -> list[str]:
    if value is None:
        return []
    texts = value.split("|") if isinstance(value, str) else map(_text, value)
    return [kept for text in texts if (kept := text.strip())][-LONGEST_LIST:]


def _standardised(values: Sequence[Any], mean: float, deviation: float) -> NDArray[np.float32]:
    numbers = np.array([_number(value) for value in values], dtype=np.float64)
    return np.nan_to_num((numbers - mean) / deviation).astype(np.float32)


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


def _hashed(text: str, buckets: int) -> int:
    return zlib.crc32(text.encode("utf-8", "surrogatepass")) % buckets
