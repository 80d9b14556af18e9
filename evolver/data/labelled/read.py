"""`load_labelled`: from a file or a folder to a `LabelledTable`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evolver.config import DataConfig
from evolver.data import files
from evolver.data.columns import label_of, optional_role
from evolver.data.formats import published_parts, single_table
from evolver.data.labelled.kinds import Told, kinds_of, told_kinds
from evolver.data.labelled.sample import KINDS, sample_frame
from evolver.data.labelled.table import Categorical, Column, LabelledTable, Listed, Numeric
from evolver.data.raw import TEST, TRAIN
from evolver.data.tables import read_all_columns
from evolver.data.times import normalise
from evolver.errors import ConfigError, DataError

_TRUE = ("1", "1.0", "true", "True", "TRUE")
_FALSE = ("0", "0.0", "false", "False", "FALSE")
_LONGEST_LIST = 200
"""Of a longer list the last values are kept."""


def load_labelled(config: DataConfig) -> LabelledTable:
    """Read a labelled table: CSV, TSV or Parquet, one file or a folder with train, test and perhaps
    valid. Empty `path`: a generated sample. Raises `DataError` (one line: what, which, what next).
    """
    if config.format not in ("auto", "csv", "parquet"):
        raise ConfigError(f"--format {config.format} holds no labels; ranking reads csv or parquet")
    if config.min_value is not None or config.value is not None:
        raise ConfigError("--value and --min-value are for interactions; ranking has --label")
    told = told_kinds(config.columns)
    if not config.path:
        return from_frame(sample_frame(), None, "sample", config, told_kinds(KINDS) | told)
    path = Path(config.path).expanduser()
    frame, published = _frame(path, config)
    return from_frame(frame, published, _title(path), config, told)


def from_frame(
    frame: pl.DataFrame,
    published: NDArray[np.int8] | None,
    name: str,
    config: DataConfig,
    told: Mapping[str, Told | None],
) -> LabelledTable:
    """A labelled table from columns as read."""
    label = label_of(frame.columns, config, name)
    labels = _labels(frame[label], name)
    features = [column for column in frame.columns if column != label]
    user = optional_role(features, config.user, "user", name)
    item = optional_role([c for c in features if c != user], config.item, "item", name)
    time = _time(frame, features, config, name)
    times = None if time is None else normalise(_whole(frame[time], name), name)
    unknown = [column for column in told if column not in features]
    if unknown:
        raise DataError(
            f"{name} has no column '{unknown[0]}' (--column); it has {', '.join(features[:12])}"
        )
    kinds, notes = kinds_of(frame.select(c for c in features if c != time), told, {user, item})
    if not kinds:
        raise DataError(f"{name} has labels and no features; nothing to learn from")
    columns, vocabularies = _columns(frame, kinds)
    seconds = None if times is None else times.seconds()
    if times is not None and times.note:
        notes.append(times.note)
    return LabelledTable(
        name=name,
        labels=labels,
        columns=columns,
        vocabularies=vocabularies,
        times=seconds,
        published=published,
        user=user if user in vocabularies else None,
        item=item if item in vocabularies else None,
        label=label,
        notes=tuple(notes),
    )


def _frame(path: Path, config: DataConfig) -> tuple[pl.DataFrame, NDArray[np.int8] | None]:
    if not path.exists():
        raise DataError(f"{path} does not exist; check the path")
    if not path.is_dir():
        return read_all_columns(path, config), None
    try:
        found = [each for each in sorted(path.iterdir()) if each.is_file()]
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None
    parts = published_parts(found)
    if not {TRAIN, TEST} <= parts.keys():
        return read_all_columns(single_table(path, found), config), None
    frames = {part: read_all_columns(parts[part], config) for part in sorted(parts)}
    first = frames[TRAIN].columns
    for part, frame in frames.items():
        if frame.columns != first:
            raise DataError(
                f"{parts[part].name} has other columns than {parts[TRAIN].name}: "
                f"{', '.join(frame.columns[:12])}; the parts must have the same columns in the "
                "same order"
            )
    published = np.repeat(
        np.array(list(frames), dtype=np.int8), [frame.height for frame in frames.values()]
    )
    return pl.concat(list(frames.values()), how="vertical_relaxed"), published


def _title(path: Path) -> str:
    place = path.resolve()
    return place.name if place.is_dir() else files.plain_name(place).split(".")[0]


def _labels(column: pl.Series, where: str) -> NDArray[np.float32]:
    texts = column.cast(pl.String).str.strip_chars()
    positive, negative = texts.is_in(_TRUE), texts.is_in(_FALSE)
    bad = ~(positive | negative).fill_null(False)
    if bad.any():
        row = int(bad.arg_max() or 0)
        values = ", ".join(sorted(texts.fill_null("").unique().head(4).to_list()))
        raise DataError(
            f"{where} row {row + 1}: label '{column.name}' is '{texts[row]}'; a label is 0 or 1. "
            f"The column holds {values}: name another with --label"
        )
    return positive.to_numpy().astype(np.float32)


def _time(frame: pl.DataFrame, features: list[str], config: DataConfig, where: str) -> str | None:
    """The column of times: a named one, or one whose name and values both say so. What is merely
    called "day" is a feature."""
    found = optional_role(features, config.time, "time", where)
    if found is None or config.time:
        return found
    values = frame[found].drop_nulls().head(1000)
    if values.dtype in (pl.Date, pl.Datetime):
        return found
    texts = values.cast(pl.String)
    dates = texts.str.contains(r"^\d{4}[-/]\d{2}[-/]\d{2}").all()
    large = (texts.cast(pl.Float64, strict=False) >= 1e8).fill_null(False).all()
    return found if len(values) and (dates or large) else None


def _whole(column: pl.Series, where: str) -> pl.Series:
    """A column of times without gaps; text that is whole numbers as numbers."""
    if column.null_count():
        row = int(column.is_null().arg_max() or 0) + 1
        raise DataError(
            f"{where} row {row}: '{column.name}' is empty ({column.null_count():,} rows); remove "
            "these rows, or leave the column out with --time none"
        )
    if column.dtype != pl.String:
        return column
    numbers = column.str.strip_chars().cast(pl.Int64, strict=False)
    return column if numbers.null_count() else numbers


def _columns(
    frame: pl.DataFrame, kinds: Mapping[str, Told]
) -> tuple[tuple[Column, ...], dict[str, tuple[str, ...]]]:
    """Columns as codes and numbers, and the distinct values of each vocabulary."""
    texts = {
        name: _lists(frame[name]) if told.kind in ("multi", "sequence") else _texts(frame[name])
        for name, told in kinds.items()
        if told.kind != "numeric"
    }
    sharing: dict[str, list[pl.Series]] = {}
    for name, series in texts.items():
        flat = series.explode().drop_nulls() if series.dtype == pl.List else series
        sharing.setdefault(kinds[name].of or name, []).append(flat)
    values = {name: pl.concat(parts).unique().sort() for name, parts in sharing.items()}
    columns: list[Column] = []
    for name, told in kinds.items():
        if told.kind == "numeric":
            columns.append(Numeric(name=name, values=_numbers(frame[name])))
        elif told.kind == "categorical":
            columns.append(Categorical(name=name, codes=_codes(texts[name], values[name])))
        else:
            sizes = texts[name].list.len().to_numpy()
            flat = texts[name].explode().drop_nulls()
            columns.append(
                Listed(
                    name=name,
                    indptr=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
                    codes=_codes(flat, values[told.of or name]),
                    vocabulary=told.of or name,
                    ordered=told.kind == "sequence",
                )
            )
    return tuple(columns), {name: tuple(found.to_list()) for name, found in values.items()}


def _numbers(column: pl.Series) -> NDArray[np.float64]:
    """Numbers, NaN where there is none or where it has no end."""
    texts = column.str.strip_chars() if column.dtype == pl.String else column
    found = texts.cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy()
    return np.where(np.isfinite(found), found, np.nan)


def _texts(column: pl.Series) -> pl.Series:
    return column.cast(pl.String).str.strip_chars().fill_null("")


def _lists(column: pl.Series) -> pl.Series:
    """Each row's values as text, empty ones left out, the last of them where there are many."""
    if column.dtype != pl.List:
        column = column.cast(pl.String).fill_null("").str.split("|")
    texts = column.cast(pl.List(pl.String)).fill_null([])
    kept = texts.list.eval(
        pl.element().str.strip_chars().filter(pl.element().str.strip_chars() != "")
    )
    return kept.list.tail(_LONGEST_LIST)


def _codes(texts: pl.Series, values: pl.Series) -> NDArray[np.int32]:
    return texts.cast(pl.Enum(values)).to_physical().to_numpy().astype(np.int32)
