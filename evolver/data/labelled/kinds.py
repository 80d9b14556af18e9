"""What each column of a labelled table holds: as the user says, else as its values look."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import polars as pl

from evolver.data.labelled.table import KINDS, Column, Kind, Listed
from evolver.errors import ConfigError

IGNORE = "ignore"
_SEPARATED = 0.05
"""From this share of values with a bar in them on, a column holds sets of values."""
_LOOKED_AT = 20_000
_MANY = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A kind, and for lists the column whose values they are of, "" for their own."""

    kind: Kind
    of: str = ""


def told_kinds(columns: Mapping[str, str]) -> dict[str, Told | None]:
    """What the user says of columns; None: leave it out. Raises ConfigError for no such kind."""
    found: dict[str, Told | None] = {}
    for name, text in columns.items():
        kind, _, of = text.partition(":")
        match = next((known for known in KINDS if known == kind), None)
        if text == IGNORE:
            found[name] = None
        elif match is None or (of and match not in ("multi", "sequence")):
            raise ConfigError(
                f"column {name}={text}: a kind is {', '.join(KINDS)}, {IGNORE}, or sequence:OTHER "
                "for values of another column"
            )
        else:
            found[name] = Told(kind=match, of=of)
    return found


def kind_of(column: Column) -> str:
    """What `--column NAME=` would say of a column."""
    if isinstance(column, Listed) and column.vocabulary != column.name:
        return f"{column.kind}:{column.vocabulary}"
    return column.kind


def kinds_of(
    frame: pl.DataFrame, told: Mapping[str, Told | None], roles: Collection[str | None]
) -> tuple[dict[str, Told], list[str]]:
    """The kind of every column that is used, in the order of the table, and notes.

    `roles` name users and items, which are categorical. Raises ConfigError where a list is of a
    column that is not categorical.
    """
    kinds: dict[str, Told] = {}
    notes: list[str] = []
    for name in frame.columns:
        if name in told:
            given = told[name]
            kinds |= {} if given is None else {name: given}
            continue
        kinds[name] = Told(kind="categorical" if name in roles else _looks(frame[name]))
        if kinds[name].kind == "categorical" and _counts(frame[name]):
            notes.append(
                f"'{name}' holds many whole numbers, taken as names; if their size means "
                f"something: --column {name}=numeric"
            )
    for name, each in kinds.items():
        if each.of and kinds.get(each.of) != Told(kind="categorical"):
            raise ConfigError(
                f"column {name}={each.kind}:{each.of}: '{each.of}' is not a categorical column"
            )
    return kinds, notes


def _looks(column: pl.Series) -> Kind:
    """Numbers with a fraction are sizes; whole numbers, words and dates are names."""
    if column.dtype == pl.List:
        return "multi"
    if column.dtype.is_float():
        return "numeric"
    if column.dtype != pl.String:
        return "categorical"
    texts = column.drop_nulls().head(_LOOKED_AT).str.strip_chars()
    texts = texts.filter(texts != "")
    if not len(texts):
        return "categorical"
    if texts.cast(pl.Float64, strict=False).null_count() == 0:
        return "categorical" if texts.str.contains(r"^[+-]?\d+$").all() else "numeric"
    barred = texts.str.contains("|", literal=True).mean()
    return "multi" if isinstance(barred, float) and barred >= _SEPARATED else "categorical"


def _counts(column: pl.Series) -> bool:
    """Whether whole numbers of many sizes could be counts: most of these are small."""
    numbers = column.head(_LOOKED_AT).cast(pl.Float64, strict=False).drop_nulls()
    if len(numbers) < len(column.head(_LOOKED_AT)) * 0.9 or numbers.n_unique() < _MANY:
        return False
    mean, middle = numbers.mean(), numbers.median()
    return isinstance(mean, float) and isinstance(middle, float) and mean > 2 * middle
