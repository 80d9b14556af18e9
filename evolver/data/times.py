"""Times in any usual form as whole numbers: seconds, milliseconds, dates, with or without zone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evolver.errors import DataError

_ISO = tuple(
    f"{day}{clock}{zone}"
    for day in ("%Y-%m-%d", "%Y/%m/%d")
    for clock in ("T%H:%M:%S%.f", " %H:%M:%S%.f", "T%H:%M", " %H:%M", "")
    for zone in (("%#z", "") if clock else ("",))
)
_CLOCKS = ("", " %H:%M", " %H:%M:%S")
_MONTH_FIRST = tuple(f"%m/%d/%Y{clock}" for clock in _CLOCKS)
_DAY_FIRST = tuple(f"%d/%m/%Y{clock}" for clock in _CLOCKS)
_DOTTED = tuple(f"%d.%m.%Y{clock}" for clock in _CLOCKS)
# Past these sizes a number cannot be a plausible count of the larger unit since 1970.
_UNITS = (
    (10**17, 10**9, "nanoseconds"),
    (10**14, 10**6, "microseconds"),
    (10**11, 10**3, "milliseconds"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """fine: (n,) int64 in the source's own unit, for sorting; `per_second` of it make a second."""

    fine: NDArray[np.int64]
    per_second: int
    note: str = ""

    def seconds(self) -> NDArray[np.int64]:
        """(n,) int64 seconds since 1970."""
        return self.fine // self.per_second if self.per_second > 1 else self.fine


def normalise(column: pl.Series, where: str) -> Times:
    """Read a column without nulls as times. Raises `DataError` naming the first bad row."""
    name = column.name
    if column.dtype == pl.Date:
        seconds = column.cast(pl.Datetime("us")).dt.epoch("s")
        return Times(fine=seconds.to_numpy(), per_second=1, note=f"'{name}' holds dates")
    if isinstance(column.dtype, pl.Datetime):
        fine = column.dt.epoch("us").to_numpy()
        return Times(fine=fine, per_second=10**6, note=f"'{name}' read as date and time")
    if column.dtype == pl.String:
        numbers = column.str.strip_chars().cast(pl.Float64, strict=False)
        if numbers.null_count() > len(numbers) / 2:
            return _dates(column, where)
        if numbers.null_count():
            raise _bad_row(column, numbers.is_null(), where)
        whole = column.str.strip_chars().cast(pl.Int64, strict=False)
        column = numbers.alias(name) if whole.null_count() else whole.alias(name)
    if not column.dtype.is_numeric():
        raise DataError(f"{where}: '{name}' has type {column.dtype}, which is not a time")
    return _numbers(column, where)


def _numbers(column: pl.Series, where: str) -> Times:
    name = column.name
    values = column.to_numpy()
    if values.dtype.kind == "f":
        bad = np.flatnonzero(~np.isfinite(values) | (np.abs(values) > 9e18))
        if len(bad):
            raise DataError(
                f"{where} row {bad[0] + 1}: '{name}' is {values[bad[0]]}, not a time; "
                "remove the row or use --time none"
            )
        whole = values.astype(np.int64)
        if (whole != values).any() and np.abs(values).max() < 10**11:
            fine = np.round(values * 1e6).astype(np.int64)
            return Times(fine=fine, per_second=10**6)
        values = whole
    elif values.dtype.kind == "u" and len(values) and values.max() > np.iinfo(np.int64).max:
        raise DataError(f"{where}: '{name}' holds numbers too large for a time")
    values = values.astype(np.int64, copy=False)
    # Some thousands of rows tell the unit as well as all of them.
    typical = int(np.median(np.abs(values[:: max(1, len(values) // 10_000)])))
    for least, per_second, unit in _UNITS:
        if typical >= least:
            return Times(fine=values, per_second=per_second, note=f"'{name}' read as {unit}")
    if values.min() >= 19_000_101 and values.max() <= 21_001_231:
        days = pl.Series(name, values).cast(pl.String).str.to_date("%Y%m%d", strict=False)
        if not days.null_count():
            seconds = days.cast(pl.Datetime("us")).dt.epoch("s").to_numpy()
            return Times(fine=seconds, per_second=1, note=f"'{name}' read as dates YYYYMMDD")
    return Times(fine=values, per_second=1)


def _dates(column: pl.Series, where: str) -> Times:
    name = column.name
    texts = column.str.strip_chars().str.replace(r" ?UTC$", "Z").str.replace(r" ?Z$", "+00:00")
    slashed = texts.head(1000).str.contains(r"^\d{1,2}/\d{1,2}/\d{4}").all()
    parsed = _slashed(texts, name, where) if slashed else _parsed(texts, _ISO + _DOTTED)
    if parsed.null_count():
        raise _bad_row(column, parsed.is_null(), where)
    fine = parsed.dt.epoch("us").to_numpy()
    return Times(fine=fine, per_second=10**6, note=f"'{name}' read as dates, UTC")


def _bad_row(column: pl.Series, bad: pl.Series, where: str) -> DataError:
    row = int(bad.arg_max() or 0)
    return DataError(
        f"{where} row {row + 1}: '{column.name}' is '{str(column[row])[:40]}', which is neither a "
        "number nor a date like 2024-05-31 or 2024-05-31T12:00:00Z; use --time none to leave it"
    )


def _slashed(texts: pl.Series, name: str, where: str) -> pl.Series:
    month_first = _parsed(texts, _MONTH_FIRST)
    day_first = _parsed(texts, _DAY_FIRST)
    if not month_first.null_count() and not day_first.null_count():
        raise DataError(
            f"{where}: dates such as '{texts[0]}' in '{name}' can be read month first or day "
            "first; write them as YYYY-MM-DD"
        )
    return day_first if day_first.null_count() < month_first.null_count() else month_first


def _parsed(texts: pl.Series, formats: tuple[str, ...]) -> pl.Series:
    """Datetimes in UTC, null where no format fits. The format of the first rows goes first."""
    sample = texts.head(200)

    def misses(layout: str) -> int:
        return _parse(sample, layout).null_count()

    ranked = sorted(formats, key=misses)
    result = _parse(texts, ranked[0])
    for layout in ranked[1:]:
        if not result.null_count():
            break
        missing = result.is_null()
        filled = _parse(texts.filter(missing), layout)
        if filled.null_count() < len(filled):
            result = result.scatter(missing.arg_true(), filled)
    return result


def _parse(texts: pl.Series, layout: str) -> pl.Series:
    parsed = texts.str.to_datetime(layout, strict=False, time_unit="us", time_zone="UTC")
    return parsed.dt.replace_time_zone(None)
