"""Bad input: each fault is one clear line that says what, which, and what next; exit code 2."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from evolver.config import DataConfig
from evolver.data.formats import load
from evolver.errors import ConfigError, DataError

GOOD = "user,item,rating,time\n" + "".join(
    f"{n % 7},{n % 5},{n % 3 + 1},{10**9 + n}\n" for n in range(60)
)


def text(content: str, name: str = "bad.csv") -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_text(content, encoding="utf-8")
        return folder / name

    return write


def raw(content: bytes, name: str = "bad.csv") -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


def changed(line: int, to: str) -> Callable[[Path], Path]:
    lines = GOOD.splitlines()
    lines[line] = to
    return text("\n".join(lines) + "\n")


def missing(folder: Path) -> Path:
    return folder / "none.csv"


def loop(folder: Path) -> Path:
    """A file that cannot be opened, even by root."""
    (folder / "loop.csv").symlink_to(folder / "loop.csv")
    return folder / "loop.csv"


def empty_folder(folder: Path) -> Path:
    (folder / "readme.md").write_text("nothing here")
    return folder


def several_tables(folder: Path) -> Path:
    for name in ("one.csv", "two.csv"):
        (folder / name).write_text(GOOD)
    return folder


def parquet(folder: Path) -> Path:
    pl.DataFrame({"a": [1], "b": [2]}).write_parquet(folder / "x.parquet")
    return folder / "x.parquet"


def broken_parquet(folder: Path) -> Path:
    pl.DataFrame({"user": [1], "item": [2]}).write_parquet(folder / "x.parquet")
    data = (folder / "x.parquet").read_bytes()
    (folder / "x.parquet").write_bytes(data[: len(data) // 2])
    return folder / "x.parquet"


PACKED = gzip.compress(os.urandom(5000).hex().encode())

CASES = {
    "no such file": (missing, "none.csv does not exist; give a file or a folder"),
    "unreadable": (loop, "loop.csv cannot be read: Too many levels of symbolic links"),
    "empty file": (raw(b""), "bad.csv is empty; give a file"),
    "only blank lines": (raw(b"\n\n \n"), "bad.csv is empty; give a file"),
    "header only": (text("user,item\n"), "bad.csv has a header and no rows"),
    "no item": (text("user,price\n1,2\n"), "it has user, price. Name it with --item NAME"),
    "neither": (text("a,b\n1,2\n"), "it has a, b. Name it with --user NAME --item NAME"),
    "one column": (text("user\n1\n2\n"), "neither a table nor a list"),
    "cannot tell": (text("alma,milk\nben,tea\n"), "cannot tell whether the first line of bad.csv"),
    "unusual order": (
        text("1,2014-04-07T10:51:09Z,21,0\n2,2014-04-07T10:51:09Z,21,0\n"),
        "which column is what, counted from 1, for example --user 1 --item 3 --time 2",
    ),
    "two of a name": (text("user,item,item\n1,2,3\n"), "two columns called 'item'; rename one"),
    "text in rating": (
        changed(17, "1,2,great,5"),
        "bad.csv row 17: 'rating' is 'great', not a number; correct the row",
    ),
    "infinite rating": (
        changed(17, "1,2,inf,5"),
        "bad.csv row 17: 'rating' is 'inf', not a number",
    ),
    "no rating": (changed(17, "1,2,,5"), "1 of 60 rows have no 'rating'; remove them"),
    "text in time": (
        changed(9, "1,2,3,yesterday"),
        "row 9: 'time' is 'yesterday', which is neither a number nor a date",
    ),
    "no time": (changed(9, "1,2,3,"), "bad.csv row 9: 'time' is empty (1 rows)"),
    "endless time": (changed(9, "1,2,3,1e30"), "row 9: 'time' is 1e+30, not a time"),
    "no user id": (changed(30, ",2,3,4"), "bad.csv row 30: 'user' is empty (1 of 60 rows)"),
    "NaN id": (changed(30, "1,NaN,3,4"), "bad.csv row 30: 'item' is empty (1 of 60 rows)"),
    "short row": (changed(30, "1"), "line 31 has 1 fields where others have 4"),
    "long row": (changed(30, "1,2,3,4,5,6"), "line 31 has 6 fields where others have 4"),
    "late long row": (
        text(GOOD + GOOD.split("\n", 1)[1] * 3 + "1,2,3,4,5\n"),
        "bad.csv is not a well-formed table",
    ),
    "open quote": (
        text("user,item\n" + "1,2\n" * 150 + '"3,4\n'),
        "bad.csv is not a well-formed table",
    ),
    "one user": (
        text("user,item\n1,2\n1,3\n"),
        "only 1 user; a recommender needs at least 2 users: check --user",
    ),
    "one item": (text("user,item\n1,2\n3,2\n"), "only 1 item"),
    "ambiguous dates": (
        text("user,item,date\n1,2,03/04/2020\n2,3,05/06/2020\n"),
        "month first or day first; write them as YYYY-MM-DD",
    ),
    "latin-1": (
        raw("user,item\né,2\n".encode("latin-1")),
        "bad.csv is not UTF-8 text (byte 10); convert it, for example: iconv",
    ),
    "late latin-1": (
        raw(b"user,item\n" + b"1,2\n" * 20000 + "é,2\n".encode("latin-1")),
        "bad.csv is not UTF-8 text (byte 80,010)",
    ),
    "UTF-16": (
        raw("user,item\n1,2\n".encode("utf-16")),
        "bad.csv is UTF-16 text; convert it to UTF-8",
    ),
    "truncated gzip": (
        raw(PACKED[:3000], "bad.csv.gz"),
        "bad.csv.gz ends too early: the gzip file is truncated; get it again",
    ),
    "damaged gzip": (
        raw(PACKED[:100] + b"\0" * 500 + PACKED[600:], "bad.csv.gz"),
        "bad.csv.gz is a damaged gzip file",
    ),
    "zip": (
        raw(b"PK\x03\x04 and so on"),
        "bad.csv is a zip archive; unpack it and give the result",
    ),
    "junk": (raw(bytes(range(256)) * 20), "bad.csv is binary and not Parquet"),
    "json": (text('{"user": 1}'), "bad.csv looks like JSON; convert it to CSV or Parquet"),
    "web page": (text("<!doctype html>"), "bad.csv looks like HTML or XML"),
    "texts for ids": (
        text("user,item\n" + "".join(f"{n},{'word ' * 200}{n}\n" for n in range(9))),
        "'item' holds texts of up to 1,001 characters, which are no ids",
    ),
    "folder of nothing": (empty_folder, "holds nothing that I can read"),
    "folder of many": (
        several_tables,
        "holds several tables (one.csv, two.csv); give one of the files",
    ),
    "parquet without names": (parquet, "x.parquet has no user and item column"),
    "broken parquet": (broken_parquet, "x.parquet is a damaged Parquet file"),
    "labels": (
        text("label,user,item\n1,2,3\n0,2,4\n"),
        "has a column 'label': a table of labelled examples",
    ),
    "empty lists": (text("1\n2\n3 \n", "x.seq.txt"), "neither a table nor a list"),
}


@pytest.mark.parametrize("case", CASES)
def test_faults_are_one_clear_line(tmp_path: Path, case: str):
    write, expected = CASES[case]
    with pytest.raises(DataError) as caught:
        load(DataConfig(path=str(write(tmp_path))))
    line = str(caught.value)
    assert expected in line
    assert "\n" not in line
    assert len(line) < 400
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"user": "uid"}, "bad.csv has no column 'uid' (--user); it has user, item, rating, time"),
        ({"time": "9"}, "bad.csv has no column '9' (--time)"),
        ({"user": "item", "item": "item"}, "user and item cannot be the same column"),
        ({"min_value": 9.0}, "no row has 'rating' of at least 9; lower --min-value"),
        ({"min_value": 1.0, "value": "none"}, "--min-value needs a value column and bad has none"),
        ({"format": "recbole", "item": "nope"}, "has no column 'nope'"),
    ],
)
def test_flags_that_do_not_fit_the_data(tmp_path: Path, options: dict, expected: str):
    path = text(GOOD)(tmp_path)
    with pytest.raises(DataError) as caught:
        load(DataConfig(path=str(path), **options))
    assert expected in str(caught.value)


def test_rows_without_a_rating_do_not_reach_a_least_one(tmp_path: Path):
    path = changed(17, "1,2,,5")(tmp_path)
    data = load(DataConfig(path=str(path), min_value=2))
    assert data.values is not None
    assert data.values.min() == 2
    assert any("left out" in note for note in data.notes)


def test_a_wrong_format_is_a_usage_error_too():
    with pytest.raises(ConfigError) as caught:
        load(DataConfig(path="x", format="y"))
    assert caught.value.exit_code == 2
