"""Tables of interactions: delimited text of any common kind, and Parquet."""

from __future__ import annotations

import re
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import polars as pl

from evolver.config import DataConfig
from evolver.data import files
from evolver.data.columns import NONE, Roles, roles_of
from evolver.data.raw import Raw, clean_ids
from evolver.data.sniff import Layout, is_number, sniff
from evolver.errors import DataError

EARLIEST_TIME = 10**8
"""A column of numbers from here on (1973) in an unnamed table is a time, below it a value."""
_DATE = re.compile(r"\s*\d{4}[-/]\d{2}[-/]\d{2}(\D|$)")


def read_table(path: Path, config: DataConfig, layout: Layout | None = None) -> Raw:
    """Interactions from one delimited or Parquet file. Raises `DataError`."""
    if files.head(path, 4) == files.PARQUET:
        return _read_parquet(path, config)
    layout = layout or sniff(path, config)
    roles, notes = _roles(path, layout, config)
    frame = _read_text(path, layout, roles)
    return from_frame(frame, roles, path.name, notes)


def read_all_columns(path: Path, config: DataConfig) -> pl.DataFrame:
    """A whole table by its header: text from delimited files, as it is typed from Parquet. Raises
    `DataError`."""
    if files.head(path, 4) == files.PARQUET:
        try:
            return pl.read_parquet(path)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise _damaged(path, error) from None
    layout = sniff(path, config)
    if layout.header is None:
        raise DataError(
            f"{path.name} has no header; features need names: add a first line that names columns"
        )
    places = {_place(n): name for n, name in enumerate(layout.header)}
    frame = _parse_as_text(path, layout, list(places)).rename(places)
    return frame.filter(~pl.all_horizontal(pl.all().is_null()))  # blank lines


def from_frame(frame: pl.DataFrame, roles: Roles, where: str, notes: tuple[str, ...]) -> Raw:
    """Interactions from the columns that `roles` names, checked. Raises `DataError`."""
    if not frame.height:
        raise DataError(f"{where} has a header and no rows; nothing to learn from")
    times = None if roles.time is None else frame[roles.time]
    if times is not None:
        _refuse_nulls(times, where, "time")
    return Raw(
        name=where.split(".", maxsplit=1)[0],
        users=clean_ids(frame[roles.user], where),
        items=clean_ids(frame[roles.item], where),
        times=times,
        values=None if roles.value is None else _numbers(frame[roles.value], where),
        notes=notes,
    )


def _read_parquet(path: Path, config: DataConfig) -> Raw:
    packed = files.is_packed(path)
    source: Path | BytesIO = BytesIO(files.content(path)) if packed else path
    try:
        schema = pl.read_parquet_schema(source)
        roles = roles_of(list(schema), config, path.name)
        dates = [name for name, kind in schema.items() if kind in (pl.Date, pl.Datetime)]
        if roles.time is None and config.time is None and len(dates) == 1:
            roles = replace(roles, time=dates[0])
        frame = pl.read_parquet(source, columns=roles.names())
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _damaged(path, error) from None
    return from_frame(frame, roles, path.name, ())


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(f"{path.name} is a damaged Parquet file ({_first_line(error)}); get it again")


def _roles(path: Path, layout: Layout, config: DataConfig) -> tuple[Roles, tuple[str, ...]]:
    if layout.header is None and config.user is None and config.item is None:
        return _unnamed(path, layout, config)
    roles = roles_of(layout.columns, config, path.name)
    if roles.time is not None or config.time is not None:
        return roles, ()
    free = [n for n, name in enumerate(layout.columns) if name not in roles.names()]
    dates = [layout.columns[n] for n in free if _is_date(layout, n)]
    if len(dates) == 1:
        return replace(roles, time=dates[0]), (f"'{dates[0]}' holds dates: taken as the time",)
    several = f"several columns hold dates ({', '.join(dates)}): name one with --time"
    return roles, (several,) if dates else ()


def _unnamed(path: Path, layout: Layout, config: DataConfig) -> tuple[Roles, tuple[str, ...]]:
    """user, item, and perhaps value and time, where no header and no flag says otherwise."""
    columns = layout.columns
    if len(columns) > 4 or _is_date(layout, 0) or _is_date(layout, 1):
        start = ", ".join(field[:24] for field in layout.rows[0][:8])
        dates = [n + 1 for n in range(len(columns)) if _is_date(layout, n)]
        item = next(n + 1 for n in range(1, len(columns) + 1) if n + 1 not in dates)
        time = f" --time {dates[0]}" if dates else ""
        raise DataError(
            f"{path.name} has no header and starts with {start}: say which column is what, "
            f"counted from 1, for example --user 1 --item {item}{time}"
        )
    kinds = ["time" if _is_time(layout, n) else "value" for n in range(2, len(columns))]
    by_kind = {kind: columns[2 + n] for n, kind in reversed(list(enumerate(kinds)))}
    flags = {
        "user": columns[0],
        "item": columns[1],
        "time": config.time or by_kind.get("time"),
        "value": config.value or by_kind.get("value"),
    }
    roles = roles_of(columns, config.model_copy(update=flags), path.name)
    return roles, (f"no header: columns read as {', '.join(['user', 'item', *kinds])}",)


def _is_time(layout: Layout, column: int) -> bool:
    """Dates, or numbers as large as seconds since 1970 are."""
    fields = [row[column] for row in layout.rows]
    if all(is_number(field) for field in fields):
        return sorted(abs(float(field)) for field in fields)[len(fields) // 2] >= EARLIEST_TIME
    return _is_date(layout, column)


def _is_date(layout: Layout, column: int) -> bool:
    return all(_DATE.match(row[column]) for row in layout.rows)


def _read_text(path: Path, layout: Layout, roles: Roles) -> pl.DataFrame:
    """The named columns: ids as text, times and values as numbers where they are."""
    places = {name: _place(layout.columns.index(name)) for name in roles.names()}
    kinds: dict[str, type[pl.DataType]] = dict.fromkeys(places.values(), pl.String)
    if roles.value is not None:
        kinds[places[roles.value]] = pl.Float64
    if roles.time is not None:
        kinds[places[roles.time]] = _time_kind(layout, layout.columns.index(roles.time))
    try:
        frame = _parse(path, layout, kinds)
    except pl.exceptions.PolarsError:
        # Once more as text: it either tells what is wrong, or a later check names the row.
        frame = _parse_as_text(path, layout, list(kinds))
    frame = frame.select(pl.col(place).alias(name) for name, place in places.items())
    return frame.filter(~pl.all_horizontal(pl.all().is_null()))  # blank lines


def _place(column: int) -> str:
    """What the frame calls a column, whatever its header: headers may be odd or missing."""
    return f"c{column}"


def _parse(path: Path, layout: Layout, kinds: dict[str, type[pl.DataType]]) -> pl.DataFrame:
    separator = "\t" if layout.separator == "::" else layout.separator
    schema = {_place(n): kinds.get(_place(n), pl.String) for n in range(len(layout.columns))}
    lazy = pl.scan_csv(
        _source(path, layout.separator),
        has_header=False,
        skip_lines=0 if layout.header is None else 1,
        schema=schema,
        separator=separator,
        quote_char='"' if separator in ",;|" else None,
    )
    return lazy.select(list(kinds)).collect()


def _parse_as_text(path: Path, layout: Layout, columns: list[str]) -> pl.DataFrame:
    try:
        return _parse(path, layout, dict.fromkeys(columns, pl.String))
    except pl.exceptions.PolarsError as error:
        files.text(path)  # says so if it is the encoding
        raise DataError(
            f"{path.name} is not a well-formed table: {_first_line(error)}; "
            "check quotes and the number of fields in each row"
        ) from None


def _source(path: Path, separator: str) -> Path | BytesIO:
    if separator in ("::", " "):
        data = files.content(path)
        if separator == "::":
            return BytesIO(data.replace(b"::", b"\t"))
        return BytesIO(b"\n".join(b" ".join(line.split()) for line in data.splitlines()))
    return BytesIO(files.content(path)) if files.is_packed(path) else path


def _time_kind(layout: Layout, column: int) -> type[pl.DataType]:
    fields = [row[column].strip() for row in layout.rows]
    if all(field.lstrip("-").isdigit() for field in fields):
        return pl.Int64
    return pl.Float64 if all(is_number(field) for field in fields) else pl.String


def _numbers(column: pl.Series, where: str) -> pl.Series:
    """Values as Float64, NaN where missing. Raises `DataError` for text and infinities."""
    if column.dtype == pl.String:
        texts = column.str.strip_chars().replace("", None)
        numbers = texts.cast(pl.Float64, strict=False)
        bad = numbers.is_null() & texts.is_not_null()
    else:
        numbers = column.cast(pl.Float64, strict=False)
        bad = numbers.is_null() & column.is_not_null()
    bad = bad | numbers.is_infinite().fill_null(False)
    if bad.any():
        row = int(bad.arg_max() or 0)
        raise DataError(
            f"{where} row {row + 1}: '{column.name}' is '{str(column[row])[:40]}', not a number; "
            f"correct the row, or leave the column out with --value {NONE}"
        )
    return numbers.fill_null(float("nan"))


def _refuse_nulls(column: pl.Series, where: str, role: str) -> None:
    if column.null_count():
        row = int(column.is_null().arg_max() or 0) + 1
        raise DataError(
            f"{where} row {row}: '{column.name}' is empty ({column.null_count():,} rows); "
            f"remove these rows, or leave the column out with --{role} {NONE}"
        )


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:160]
