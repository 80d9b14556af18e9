"""What MovieLens publishes beside its ratings: genres, years, and who the users are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl

from evolver.data import files
from evolver.data.raw import FeatureColumn, FeatureTable
from evolver.errors import DataError

RATINGS = ("ratings.dat", "u.data", "ratings.csv")
SIDE_TABLES = ("movies.dat", "users.dat", "u.item", "u.user", "movies.csv")
_GENRES_100K = 19


def side_tables(folder: Path) -> tuple[FeatureTable, ...]:
    """Features from those of `SIDE_TABLES` that are there, gz or not."""
    readers: dict[str, Callable[[Path], FeatureTable | None]] = dict(
        zip(SIDE_TABLES, (_movies, _users_1m, _movies_100k, _users_100k, _movies_csv), strict=True)
    )
    present = {files.plain_name(path): path for path in sorted(folder.iterdir())}
    tables = [read(present[name]) for name, read in readers.items() if name in present]
    return tuple(table for table in tables if table is not None)


def _movies(path: Path) -> FeatureTable:
    rows = _rows(path, "::", 3)
    return _genres(rows["column_0"], rows["column_1"], rows["column_2"].str.split("|"))


def _movies_csv(path: Path) -> FeatureTable | None:
    """None for a file that has this name and is something else."""
    first = files.head(path).decode("utf-8-sig", errors="replace").split("\n")[0]
    if not {"movieId", "title", "genres"} <= set(first.strip().split(",")):
        return None
    try:
        frame = pl.read_csv(files.text(path).encode(), infer_schema=False)
    except pl.exceptions.PolarsError as error:
        line = str(error).splitlines()[0][:120]
        raise DataError(f"{path.name} is not a well-formed table: {line}; correct it") from None
    return _genres(frame["movieId"], frame["title"], frame["genres"].str.split("|"))


def _movies_100k(path: Path) -> FeatureTable:
    rows = _rows(path, "|", 5 + _GENRES_100K)
    flags = pl.DataFrame({str(n): rows[f"column_{n + 5}"] for n in range(_GENRES_100K)})
    lists = flags.select(
        pl.concat_list(
            pl.when(pl.col(name) == "1").then(pl.lit(f"{int(name):02d}")) for name in flags.columns
        ).list.drop_nulls()
    ).to_series()
    return _genres(rows["column_0"], rows["column_1"], lists)


def _genres(ids: pl.Series, titles: pl.Series, genres: pl.Series) -> FeatureTable:
    genres = genres.list.eval(pl.element().filter(pl.element() != "(no genres listed)"))
    return FeatureTable(
        side="item",
        ids=ids.str.strip_chars(),
        columns={
            "genre": FeatureColumn(kind="tokens", values=genres),
            "year": FeatureColumn(
                kind="float", values=titles.str.extract(r"\((\d{4})\)\s*$").cast(pl.Float64)
            ),
        },
    )


def _users_1m(path: Path) -> FeatureTable:
    rows = _rows(path, "::", 5)
    return FeatureTable(
        side="user",
        ids=rows["column_0"].str.strip_chars(),
        columns={
            "gender": FeatureColumn(kind="token", values=rows["column_1"]),
            # Codes of seven bands, not years.
            "age": FeatureColumn(kind="token", values=rows["column_2"]),
            "occupation": FeatureColumn(kind="token", values=rows["column_3"]),
        },
    )


def _users_100k(path: Path) -> FeatureTable:
    rows = _rows(path, "|", 5)
    return FeatureTable(
        side="user",
        ids=rows["column_0"].str.strip_chars(),
        columns={
            "age": FeatureColumn(kind="float", values=rows["column_1"]),
            "gender": FeatureColumn(kind="token", values=rows["column_2"]),
            "occupation": FeatureColumn(kind="token", values=rows["column_3"]),
        },
    )


def _rows(path: Path, separator: str, width: int) -> pl.DataFrame:
    """Fields as text. These files are Latin-1 as published."""
    lines = [line for line in files.lines(path, "latin-1") if line.strip()]
    rows = [line.split(separator) for line in lines]
    odd = next((n for n, row in enumerate(rows) if len(row) < width), None)
    if odd is not None:
        raise DataError(
            f"{path.name} line {odd + 1} has {len(rows[odd])} fields, not {width}; "
            "put the published file here or take it away"
        )
    names = [f"column_{n}" for n in range(width)]
    return pl.DataFrame([row[:width] for row in rows], schema=names, orient="row")
