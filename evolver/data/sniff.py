"""How a text file is laid out, from its first lines: separator, header, ragged or not."""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from evolver.config import DataConfig
from evolver.data import files
from evolver.data.columns import NONE, is_known
from evolver.errors import DataError

SEPARATORS = ("::", "\t", ",", ";", "|", " ")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|nan|inf", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """separator: between fields. header: column names, or None where the first line is data.

    ragged: lines hold different numbers of fields, as in lists `user item item ...`.
    rows: the first data rows, split.
    """

    separator: str
    header: tuple[str, ...] | None
    ragged: bool
    rows: tuple[tuple[str, ...], ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns; unnamed ones are counted from 1."""
        if self.header is not None:
            return self.header
        return tuple(f"column {n + 1}" for n in range(len(self.rows[0])))


def sniff(path: Path, config: DataConfig) -> Layout:
    """The layout of a text file. Raises `DataError` where it is not a table or a list."""
    start = files.head(path)
    files.refuse_binary(path, start)
    lines = _lines(path, start)
    for separator in SEPARATORS:
        rows = [_fields(line, separator) for line in lines]
        widths = {len(row) for row in rows}
        if len(widths) == 1 and len(rows[0]) > 1:
            return _layout(path, separator, rows, config)
    rows = [_fields(line, " ") for line in (line.replace("\t", " ") for line in lines)]
    if _is_list(rows):
        return Layout(separator=" ", header=None, ragged=True, rows=tuple(map(tuple, rows)))
    raise _no_table(path, lines)


def is_number(field: str) -> bool:
    """Whether a field reads as a number."""
    return _NUMBER.fullmatch(field.strip()) is not None


def _lines(path: Path, start: bytes) -> list[str]:
    whole = len(start) < files.HEAD_BYTES
    # The last line, and a character across the edge, may be cut.
    usable = start if whole or b"\n" not in start else start[: start.rindex(b"\n")]
    try:
        decoded = usable.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise files.not_utf8(path, error.start) from None
    return [line.rstrip("\r") for line in decoded.split("\n") if line.strip()][:100]


def _fields(line: str, separator: str) -> list[str]:
    if separator in ("::", " "):
        return line.strip().split(separator) if separator == "::" else line.split()
    try:
        return next(csv.reader([line], delimiter=separator))
    except csv.Error:  # a quote that closes on a later line
        return line.split(separator)


def _layout(path: Path, separator: str, rows: list[list[str]], config: DataConfig) -> Layout:
    header = tuple(name.strip() for name in rows[0])
    if not _has_header(path, rows, config):
        wide = separator == " " and len(rows[0]) > 4
        return Layout(separator=separator, header=None, ragged=wide, rows=tuple(map(tuple, rows)))
    repeated = [name for name, times in Counter(header).items() if times > 1]
    if repeated:
        raise DataError(f"{path.name} has two columns called '{repeated[0]}'; rename one")
    if len(rows) == 1:
        raise DataError(f"{path.name} has a header and no rows; nothing to learn from")
    return Layout(
        separator=separator, header=header, ragged=False, rows=tuple(map(tuple, rows[1:]))
    )


def _has_header(path: Path, rows: list[list[str]], config: DataConfig) -> bool:
    first, rest = rows[0], rows[1:]
    flags = [flag for flag in (config.user, config.item, config.time, config.value) if flag]
    if any(flag in first for flag in flags) or any(is_known(field) for field in first):
        return True
    if any(field[:1].isdigit() or is_number(field) for field in first):
        return False  # numbers and dates name no columns
    if any(all(is_number(row[n]) for row in rest) for n in range(len(first)) if rest):
        return True
    if flags and all(flag.isdigit() or flag == NONE for flag in flags):
        return False
    if not rest:
        raise DataError(f"{path.name} has one line of text and no rows; nothing to learn from")
    raise DataError(
        f"cannot tell whether the first line of {path.name} names columns or is data "
        f"({', '.join(field[:24] for field in first[:6])}); name the columns of user and item with "
        "--user and --item, or count them: --user 1 --item 2"
    )


def _is_list(rows: list[list[str]]) -> bool:
    """Lists start with a user that no other line has; a broken table repeats users or has text."""
    users = [row[0] for row in rows]
    compact = all(re.fullmatch(r"[^,;|]+", field) for row in rows for field in row)
    return compact and len(set(users)) == len(users) and max(map(len, rows)) > 1


def _no_table(path: Path, lines: list[str]) -> DataError:
    for separator in SEPARATORS:
        widths = [len(_fields(line, separator)) for line in lines]
        usual, times = Counter(widths).most_common(1)[0]
        if usual > 1 and times > len(lines) / 2:
            odd = next(n for n, width in enumerate(widths) if width != usual)
            return DataError(
                f"{path.name} line {odd + 1} has {widths[odd]} fields where others have {usual}; "
                "quote fields that contain the separator, or remove the line"
            )
    return DataError(
        f"{path.name} is neither a table nor a list of items; each row needs a user and an item"
    )
