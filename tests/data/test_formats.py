"""Reading: every format to the same dataset, names and times recognised, features by number."""

from __future__ import annotations

import gzip
from io import BytesIO
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolver.config import DataConfig, SplitConfig
from evolver.data.dataset import Dataset
from evolver.data.formats import load
from evolver.data.split import make_split
from evolver.errors import ConfigError

# user, item, rating, time: in the order of the file
ROWS = [
    ("7", "b", 4.0, 1_000_000_300),
    ("3", "a", 5.0, 1_000_000_100),
    ("7", "a", 3.0, 1_000_000_200),
    ("3", "c", 1.0, 1_000_000_400),
]
RECBOLE = "user_id:token,item_id:token,rating:float,timestamp:float"
EXPECTED = [("3", "a"), ("3", "c"), ("7", "a"), ("7", "b")]  # by user, then time


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text.encode(encoding)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def table(separator: str, header: str | None, rows=ROWS) -> str:
    lines = [separator.join(str(field) for field in row) for row in rows]
    return "\n".join([*([header.replace(",", separator)] if header else []), *lines]) + "\n"


def read(path: Path, **options) -> Dataset:
    return load(DataConfig(path=str(path), **options))


def by_id(data: Dataset, feature: str) -> np.ndarray:
    """An item feature with its rows in the order of the items' ids."""
    return data.item_features[feature].toarray()[np.argsort(data.item_ids)]


def pairs(data: Dataset) -> list[tuple[str, str]]:
    users, items = data.user_ids[data.users], data.item_ids[data.items]
    return list(zip(users.tolist(), items.tolist(), strict=True))


# --- delimited text ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", table(",", "userId,movieId,rating,timestamp")),
        ("a.csv", table(",", "uid,sku,stars,ts")),
        ("a.csv", table(";", "visitor,Product ID,value,date")),
        ("a.tsv", table("\t", RECBOLE)),
        ("a.txt", table("|", "customer_id,article_id,overall,unixReviewTime")),
        ("a.csv.gz", table(",", "userId,movieId,rating,timestamp")),
        ("u.data", table("\t", None)),
        ("u.data.gz", table("\t", None)),
        ("ratings.dat", table("::", None)),
        ("plain.csv", table(",", None)),
        ("plain.txt", table(" ", None)),
        ("bom.csv", "\ufeff" + table(",", "user,item,rating,time")),
        ("dos.csv", table(",", "user,item,rating,time").replace("\n", "\r\n")),
        ("blank.csv", table(",", "user,item,rating,time") + "\n\n"),
        ("a.inter", table("\t", RECBOLE)),
    ],
)
def test_tables_of_every_kind_read_the_same(tmp_path: Path, name: str, text: str):
    data = read(write(tmp_path / name, text))
    assert pairs(data) == EXPECTED
    assert data.times is not None
    assert data.times.tolist() == [1_000_000_100, 1_000_000_400, 1_000_000_200, 1_000_000_300]
    assert data.values is not None
    assert data.values.tolist() == [5.0, 1.0, 3.0, 4.0]
    assert data.users.dtype == data.items.dtype == np.int32
    assert data.times.dtype == np.int64


def test_parquet_reads_the_same_whatever_it_is_called(tmp_path: Path):
    frame = pl.DataFrame(ROWS, schema=["user", "item", "rating", "timestamp"], orient="row")
    for name in ("a.parquet", "a.bin"):
        frame.write_parquet(tmp_path / name)
        assert pairs(read(tmp_path / name)) == EXPECTED
    dated = frame.with_columns(pl.from_epoch("timestamp").alias("timestamp"))
    dated.with_columns(pl.col("user").cast(pl.Categorical)).write_parquet(tmp_path / "b.parquet")
    data = read(tmp_path / "b.parquet")
    assert pairs(data) == EXPECTED
    assert data.times is not None
    assert data.times[0] == 1_000_000_100


def test_a_folder_of_parquet_pieces_is_one_table(tmp_path: Path):
    frame = pl.DataFrame(ROWS, schema=["user", "item", "rating", "timestamp"], orient="row")
    frame[:2].write_parquet(tmp_path / "part-0.parquet")
    frame[2:].write_parquet(tmp_path / "part-1.parquet")
    data = read(tmp_path)
    assert pairs(data) == EXPECTED
    assert data.published is None


def test_flags_map_columns_by_name_or_by_number(tmp_path: Path):
    named = write(tmp_path / "a.csv", table(",", "w,x,y,z"))
    data = read(named, user="w", item="x", value="y", time="z")
    assert pairs(data) == EXPECTED
    counted = write(tmp_path / "b.csv", table(",", None))
    data = read(counted, user="1", item="2", time="4")
    assert pairs(data) == EXPECTED
    assert data.values is None
    data = read(write(tmp_path / "c.csv", table(",", "user,item,rating,time")), time="none")
    assert data.times is None


def test_unnamed_columns_are_recognised_by_what_they_hold(tmp_path: Path):
    timed = table(",", None, [(u, i, t) for u, i, _, t in ROWS])
    assert read(write(tmp_path / "t.csv", timed)).times is not None
    rated = table(",", None, [(u, i, r) for u, i, r, _ in ROWS])
    data = read(write(tmp_path / "r.csv", rated))
    assert data.times is None
    assert data.values is not None
    assert "no header: columns read as user, item, value" in data.notes


def test_a_column_of_dates_is_the_time_whatever_its_name(tmp_path: Path):
    rows = "".join(f"{n % 3},2018-09-{n + 10},0{n % 4},9\n" for n in range(12))
    data = read(write(tmp_path / "a.csv", "customer_id,t_dat,article_id,x\n" + rows))
    assert data.times is not None
    assert "'t_dat' holds dates: taken as the time" in data.notes
    two = "user,item,start,end\n1,2,2018-09-10,2018-09-11\n2,3,2018-09-10,2018-09-11\n"
    data = read(write(tmp_path / "b.csv", two))
    assert data.times is None
    assert "several columns hold dates (start, end): name one with --time" in data.notes
    frame = pl.DataFrame({"user": [1, 2], "item": [3, 4], "x": [1, 2]})
    frame.with_columns(pl.date(2020, 1, "x").alias("when")).write_parquet(tmp_path / "c.parquet")
    assert read(tmp_path / "c.parquet").times is not None


def test_unnamed_columns_in_an_unusual_order_can_be_counted(tmp_path: Path):
    clicks = "".join(f"{n // 4},2014-04-{n + 10}T10:51:09Z,{n % 5},0\n" for n in range(12))
    path = write(tmp_path / "clicks.dat", clicks)
    data = read(path, user="1", item="3", time="2")
    assert data.n_items == 5
    assert data.values is None
    assert data.times is not None


def test_quoted_fields_may_hold_separators(tmp_path: Path):
    text = 'user,title,item\n1,"One, two",a\n2,"say ""hi""",b\n1,x,b\n'
    assert pairs(read(write(tmp_path / "a.csv", text))) == [("1", "a"), ("1", "b"), ("2", "b")]


def test_columns_that_are_not_used_may_be_anything(tmp_path: Path):
    text = "user,item,comment\n" + "".join(f"{n},{n % 3},x{n}\n" for n in range(9))
    assert len(read(write(tmp_path / "a.csv", text))) == 9


# --- ids -----------------------------------------------------------------------------------------


def test_ids_keep_how_they_are_written(tmp_path: Path):
    text = "user,item\n007,1\n7,1\n10,2\n7,2\n"
    data = read(write(tmp_path / "a.csv", text))
    assert data.user_ids.tolist() == ["007", "10", "7"]
    assert sorted(data.item_ids.tolist()) == ["1", "2"]


def test_numbers_are_in_numerical_order_and_huge_ones_are_kept(tmp_path: Path):
    text = "user,item\n10,5\n9,5\n-3,6\n"
    assert read(write(tmp_path / "a.csv", text)).user_ids.tolist() == ["-3", "9", "10"]
    huge = 10**19
    text = f"user,item\n{huge},5\n{huge + 1},6\n{huge},6\n"
    data = read(write(tmp_path / "b.csv", text))
    assert data.user_ids.tolist() == [str(huge), str(huge + 1)]
    text = f"user,item\n{10**18},5\n{10**18 + 1},6\n4,6\n"
    data = read(write(tmp_path / "c.csv", text))
    assert data.user_ids.tolist() == ["4", str(10**18), str(10**18 + 1)]


def test_spaces_around_ids_do_not_make_new_ones(tmp_path: Path):
    data = read(write(tmp_path / "a.csv", "user, item\nanna, milk\nben,milk\nanna ,bread\n"))
    assert data.user_ids.tolist() == ["anna", "ben"]
    assert sorted(data.item_ids.tolist()) == ["bread", "milk"]


# --- times ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "seconds", "note"),
    [
        (["1577836800", "1577836801"], [1577836800, 1577836801], None),
        (["1577836800999", "1577836801000"], [1577836800, 1577836801], "milliseconds"),
        (["1577836800000000", "1577836801000000"], [1577836800, 1577836801], "microseconds"),
        (["1577836800000000000", "1577836801000000000"], [1577836800, 1577836801], "nanoseconds"),
        (["1577836800.5", "1577836801.25"], [1577836800, 1577836801], None),
        (["1.5778368E9", "1577836801"], [1577836800, 1577836801], None),
        (["2020-01-01", "2020-01-02"], [1577836800, 1577923200], "dates"),
        (["2020-01-01T00:00:00Z", "2020-01-01T00:00:01.500Z"], [1577836800, 1577836801], "dates"),
        (["2020-01-01 00:00:00", "2020-01-01 00:00:01"], [1577836800, 1577836801], "dates"),
        (["2020-01-01 00:00:00 UTC", "2020-01-01 00:00"], [1577836800, 1577836800], "dates"),
        (["2020-01-01T01:00:00+01:00", "2020-01-01T00:00:01+0000"], [1577836800, 1577836801], ""),
        (["31/12/2019", "01/01/2020"], [1577750400, 1577836800], "dates"),
        (["12/31/2019 10:30", "01/01/2020 00:00"], [1577788200, 1577836800], "dates"),
        (["20200101", "20200102"], [1577836800, 1577923200], "YYYYMMDD"),
    ],
)
def test_times_of_every_kind_become_seconds(tmp_path: Path, texts, seconds, note):
    text = "user,item,time\n" + "".join(f"u{n},i{n},{t}\n" for n, t in enumerate(texts))
    data = read(write(tmp_path / "a.csv", text))
    assert data.times is not None
    assert data.times.tolist() == seconds
    assert any((note or "") in each for each in data.notes) or note is None
    assert note is not None or data.notes == ()


def test_rows_keep_an_order_finer_than_seconds(tmp_path: Path):
    rows = [("a", f"i{n}", 1_577_836_800_000 + ms) for n, ms in enumerate([900, 100, 500, 300])]
    text = table(",", "user,item,time", [*rows, ("b", "i0", 1_577_836_800_000)])
    data = read(write(tmp_path / "a.csv", text))
    assert pairs(data)[:4] == [("a", "i1"), ("a", "i3"), ("a", "i2"), ("a", "i0")]


# --- duplicates, values, order -------------------------------------------------------------------


def test_duplicates_are_merged_and_counted_and_repeats_are_kept(tmp_path: Path):
    rows = [
        ("a", "x", 1, 5),
        ("a", "x", 2, 5),
        ("a", "x", 3, 9),
        ("b", "y", 1, 5),
        ("b", "y", 1, 5),
    ]
    text = table(",", "user,item,rating,time", rows)
    data = read(write(tmp_path / "a.csv", text))
    assert pairs(data) == [("a", "x"), ("a", "x"), ("b", "y")]
    assert data.values is not None
    assert data.values.tolist() == [2.0, 3.0, 1.0]
    assert "2 duplicate rows merged" in data.notes
    timeless = table(",", "user,item", [row[:2] for row in rows])
    data = read(write(tmp_path / "b.csv", timeless))
    assert pairs(data) == [("a", "x"), ("b", "y")]
    assert "3 duplicate rows merged" in data.notes


def test_small_values_are_left_out_and_counted(tmp_path: Path):
    path = write(tmp_path / "a.csv", table(",", "user,item,rating,time"))
    data = read(path, min_value=3)
    assert pairs(data) == [("3", "a"), ("7", "a"), ("7", "b")]
    assert sorted(data.item_ids.tolist()) == ["a", "b"]
    assert "1 rows with a value under 3 left out" in data.notes


@given(st.permutations(range(40)))
@settings(max_examples=25, deadline=None)
def test_the_order_of_a_file_with_times_changes_nothing(tmp_path_factory, order):
    rng = np.random.default_rng(5)
    times = rng.permutation(1000)[:40] + 10**9
    rows = [(int(rng.integers(6)), int(rng.integers(9)), int(t)) for t in times]
    folder = tmp_path_factory.mktemp("shuffled")
    one = read(write(folder / "a.csv", table(",", "user,item,time", rows)))
    two = read(write(folder / "b.csv", table(",", "user,item,time", [rows[n] for n in order])))
    assert one.fingerprint == two.fingerprint
    config = SplitConfig(search=0.2, promotion=0.2, test=0.2)
    first, second = make_split(one, config, 0), make_split(two, config, 0)
    assert first.assignment.tolist() == second.assignment.tolist()


def test_ties_in_time_do_not_follow_the_file(tmp_path: Path):
    rows = [("a", f"i{n:02d}", 10**9) for n in range(20)] + [("b", "i00", 10**9 + 1)]
    one = read(write(tmp_path / "a.csv", table(",", "user,item,time", rows)))
    two = read(write(tmp_path / "b.csv", table(",", "user,item,time", rows[::-1])))
    assert pairs(one) == pairs(two)
    ids = [item for user, item in pairs(one) if user == "a"]
    assert ids != sorted(ids)
    assert sorted(ids) == [f"i{n:02d}" for n in range(20)]


# --- lists ---------------------------------------------------------------------------------------


def test_adjacency_lists_with_a_published_split(tmp_path: Path):
    write(tmp_path / "train.txt", "0 5 3 9\n1 5\n2 7 3\n3\n")
    write(tmp_path / "test.txt", "0 7\n1 \n2 5\n")
    data = read(tmp_path)
    assert data.ordered is False
    assert data.times is None
    assert data.published is not None
    found = sorted(
        (*pair, int(part)) for pair, part in zip(pairs(data), data.published, strict=True)
    )
    assert found == [
        ("0", "3", 0), ("0", "5", 0), ("0", "7", 2), ("0", "9", 0),
        ("1", "5", 0), ("2", "3", 0), ("2", "5", 2), ("2", "7", 0),
    ]  # fmt: skip
    assert data.name == tmp_path.name


def test_sequence_lists_keep_their_order_and_repeats(tmp_path: Path):
    path = write(tmp_path / "shop.seq.txt", "u2 b a b c\nu1 c  a\n")
    data = read(path)
    assert data.ordered
    assert pairs(data) == [
        ("u1", "c"),
        ("u1", "a"),
        ("u2", "b"),
        ("u2", "a"),
        ("u2", "b"),
        ("u2", "c"),
    ]
    assert read(write(tmp_path / "plain.txt", "1 9 3\n2 5 4 3\n")).ordered is False
    assert read(tmp_path / "plain.txt", format="sequence").ordered
    assert not read(write(tmp_path / "x.seq.txt", "1 9 3\n2 4 3\n"), format="adjacency").ordered


def test_pairs_in_order_as_sasrec_has_them(tmp_path: Path):
    path = write(tmp_path / "Beauty.txt", "1 9\n1 3\n1 5\n2 5\n2 4\n3 9\n")
    data = read(path)
    assert data.ordered
    assert pairs(data) == [("1", "9"), ("1", "3"), ("1", "5"), ("2", "5"), ("2", "4"), ("3", "9")]
    assert any("order of the file" in note for note in data.notes)
    scattered = write(tmp_path / "b.txt", "1 9\n2 5\n1 3\n2 4\n3 9\n")
    assert read(scattered).ordered is False
    assert read(scattered, format="sequence").ordered


def test_published_tables(tmp_path: Path):
    for part, rows in (("train", ROWS[:2]), ("valid", ROWS[2:3]), ("test", ROWS[3:])):
        write(tmp_path / f"{part}.csv", table(",", "user,item,rating,time", rows))
    data = read(tmp_path)
    assert data.published is not None
    assert dict(zip(pairs(data), data.published.tolist(), strict=True)) == {
        ("3", "a"): 0, ("7", "b"): 0, ("7", "a"): 1, ("3", "c"): 2,
    }  # fmt: skip


def test_published_pairs_are_not_guessed_to_be_in_order(tmp_path: Path):
    write(tmp_path / "x.train.rating", "1 9\n1 3\n1 5\n2 5\n2 4\n")
    write(tmp_path / "x.test.rating", "1 4\n2 9\n")
    write(tmp_path / "x.test.negative", "(1,4) 7 8\n")
    data = read(tmp_path)
    assert data.published is not None
    assert sorted(data.published.tolist()) == [0, 0, 0, 0, 0, 2, 2]
    assert not data.ordered
    assert read(tmp_path, format="sequence").ordered


def test_the_same_row_in_train_and_test_stays_in_both(tmp_path: Path):
    write(tmp_path / "train.txt", "0 1 2\n1 2\n")
    write(tmp_path / "test.txt", "0 1\n1 1\n")
    data = read(tmp_path)
    assert pairs(data).count(("0", "1")) == 2


# --- features ------------------------------------------------------------------------------------


def test_recbole_features(tmp_path: Path):
    write(
        tmp_path / "x.inter",
        table("\t", RECBOLE),
    )
    write(
        tmp_path / "x.item",
        "item_id:token\tkind:token_seq\tprice:float\tname:token\tmaker:token\n"
        "a\tred big\t1.0\tn1\tm1\nc\tbig\t3.0\tn2\tm1\nb\t\t\tn3\tm2\nunused\tblue\t9.0\tn4\tm3\n",
    )
    write(tmp_path / "x.user", "user_id:token\tgender:token\n3\tF\n7\tM\n")
    data = read(tmp_path)
    assert set(data.item_features) == {"kind", "price"}  # names name each one; maker 2 of 3 too
    assert by_id(data, "kind").tolist() == [[1, 1], [0, 0], [1, 0]]
    assert by_id(data, "price").ravel().tolist() == [-1.0, 0.0, 1.0]
    assert data.user_features == {} or data.user_features["gender"].shape == (2, 2)
    assert any("'name' left out" in note for note in data.notes)


def test_recbole_published_files(tmp_path: Path):
    write(tmp_path / "x.train.inter", table("\t", RECBOLE, ROWS[:3]))
    write(tmp_path / "x.test.inter", table("\t", RECBOLE, ROWS[3:]))
    data = read(tmp_path)
    assert data.published is not None
    assert sorted(data.published.tolist()) == [0, 0, 0, 2]


def test_movielens_tables_beside_the_ratings(tmp_path: Path):
    rows = [(u, m, 4, 10**9 + u * 10 + m) for u in (1, 2, 3, 4) for m in (10, 20, 30)]
    write(tmp_path / "ratings.dat", table("::", None, rows))
    movies = "10::Amélie (2001)::Comedy|Romance\n20::Heat (1995)::Crime\n30::X (1999)::Comedy\n"
    write(tmp_path / "movies.dat", movies, "latin-1")
    people = "1::F::1::10::48067\n2::M::25::10::1\n3::M::25::3::2\n4::F::1::3::3\n"
    write(tmp_path / "users.dat", people, "latin-1")
    data = read(tmp_path)
    assert by_id(data, "genre").tolist() == [[1, 0, 1], [0, 1, 0], [1, 0, 0]]
    assert by_id(data, "year").argmax() == 0
    assert data.user_features["gender"].toarray().tolist() == [[1, 0], [0, 1], [0, 1], [1, 0]]
    assert data.user_features["age"].shape == (4, 2)
    sequence = tmp_path / "seq"
    for name in ("movies.dat", "users.dat"):
        write(sequence / name, (tmp_path / name).read_text("latin-1"), "latin-1")
    write(sequence / "x.seq.txt", "1 30 10 20\n2 10 30\n3 20\n4 10\n")
    assert set(read(sequence).item_features) == {"genre", "year"}


def test_movielens_100k_and_csv_tables(tmp_path: Path):
    old = tmp_path / "old"
    write(old / "u.data", "1\t1\t5\t881250949\n2\t2\t3\t891717742\n1\t2\t3\t891717743\n")
    flags = ["|".join("1" if n in on else "0" for n in range(19)) for on in ((1, 3), (3, 4))]
    items = "".join(f"{n + 1}|Ché (199{n})|01-Jan||url|{flags[n]}\n" for n in range(2))
    write(old / "u.item", items, "latin-1")
    write(old / "u.user", "1|24|M|other|1\n2|53|F|other|2\n")
    data = read(old)
    assert by_id(data, "genre").tolist() == [[1, 1, 0], [0, 1, 1]]
    assert data.user_features["age"].toarray().ravel().tolist() == [-1.0, 1.0]
    new = tmp_path / "new"
    write(
        new / "ratings.csv.gz",
        "userId,movieId,rating,timestamp\n1,1,5,881250949\n2,2,3,881250950\n",
    )
    write(new / "movies.csv.gz", 'movieId,title,genres\n1,"A, b (1995)",X|Y\n2,C (1996),Y\n')
    data = read(new)
    assert by_id(data, "genre").tolist() == [[1, 1], [0, 1]]
    write(new / "movies.csv.gz", "id,name\n1,x\n")  # another table of that name
    assert read(new).item_features == {}


def test_no_path_is_the_bundled_sample():
    assert load(DataConfig()).name == "sample"


def test_an_unknown_format_is_a_config_error(tmp_path: Path):
    with pytest.raises(ConfigError, match="unknown format 'xml'; one of auto, csv"):
        read(tmp_path, format="xml")


# --- gzip ----------------------------------------------------------------------------------------


def parquet(rows=ROWS) -> bytes:
    frame = pl.DataFrame(rows, schema=["user", "item", "rating", "timestamp"], orient="row")
    frame.write_parquet(file := BytesIO())
    return file.getvalue()


FOLDERS: dict[str, dict[str, str | bytes]] = {
    "csv": {"ratings.csv": table(",", "user,item,rating,time")},
    "tsv": {"log.tsv": table("\t", RECBOLE)},
    "spaces": {"plain.txt": table(" ", None)},
    "parquet": {"log.parquet": parquet()},
    "pieces of parquet": {"0.parquet": parquet(ROWS[:2]), "1.parquet": parquet(ROWS[2:])},
    "published parquet": {"train.parquet": parquet(ROWS[:3]), "test.parquet": parquet(ROWS[3:])},
    "published csv": {
        "train.csv": table(",", "user,item,rating,time", ROWS[:3]),
        "test.csv": table(",", "user,item,rating,time", ROWS[3:]),
    },
    "published pairs": {"x.train.rating": "1 9\n1 3\n2 5\n", "x.test.rating": "1 5\n2 9\n"},
    "recbole": {
        "x.inter": table("\t", RECBOLE),
        "x.item": "item_id:token\tkind:token\na\tred\nb\tblue\nc\tred\n",
    },
    "published recbole": {
        "x.train.inter": table("\t", RECBOLE, ROWS[:3]),
        "x.test.inter": table("\t", RECBOLE, ROWS[3:]),
    },
    "movielens-1m": {
        "ratings.dat": table("::", None, [(1, 10, 4, 10**9), (2, 20, 5, 10**9 + 1)]),
        "movies.dat": "10::A (1995)::Comedy|Crime\n20::B (1996)::Crime\n",
    },
    "movielens-100k": {
        "u.data": "1\t1\t5\t881250949\n2\t2\t3\t891717742\n",
        "u.user": "1|24|M|other|1\n2|53|F|other|2\n",
    },
    "adjacency": {"train.txt": "0 5 3 9\n1 5\n2 7 3\n", "test.txt": "0 7\n1 \n2 5\n"},
    "sequences": {"shop.seq.txt": "u2 b a b c\nu1 c a\n"},
    "pairs in order": {"Beauty.txt": "1 9\n1 3\n1 5\n2 5\n2 4\n3 9\n"},
}


@pytest.mark.parametrize("files", FOLDERS.values(), ids=FOLDERS)
def test_packed_files_read_as_what_they_hold(tmp_path: Path, files: dict[str, str | bytes]):
    plain, packed = tmp_path / "plain", tmp_path / "packed"
    for folder in (plain, packed):
        folder.mkdir()
    for name, text in files.items():
        data = text.encode() if isinstance(text, str) else text
        (plain / name).write_bytes(data)
        (packed / f"{name}.gz").write_bytes(gzip.compress(data))
    one, two = read(plain), read(packed)
    assert len(one) > 0
    assert two.fingerprint == one.fingerprint  # features and published parts are in it
    assert two.ordered == one.ordered


# --- public data sets ----------------------------------------------------------------------------


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "size", "kind"),
    [
        ("ml-100k", (943, 1_682, 100_000), "time"),
        ("ml-latest-small", (671, 9_066, 100_004), "time"),
        ("ml-1m", (6_040, 3_706, 1_000_209), "order"),
        ("gowalla", (29_858, 40_981, 1_027_370), "published"),
    ],
)
def test_public_data_sets_have_their_published_size(real_data: Path, name, size, kind):
    data = read(real_data / name)
    assert (data.n_users, data.n_items, len(data)) == size
    assert data.name == name
    assert make_split(data, SplitConfig(), 0).kind == kind


@pytest.mark.realdata
def test_labelled_tables_are_refused_unless_their_positives_are_asked_for(real_data: Path):
    data = read(real_data / "frappe_x1", value="label", min_value=1)
    assert data.n_users == 957
    assert data.published is not None


def test_item_numbers_do_not_tell_the_order_of_ids(tmp_path: Path):
    rows = [(user, item, 1, 10**9 + item) for user in range(20) for item in range(200)]
    data = read(write(tmp_path / "a.csv", table(",", "user,item,rating,time", rows)))
    ranks = np.argsort(np.argsort(data.item_ids.astype(int)))
    assert abs(np.corrcoef(ranks, np.arange(200))[0, 1]) < 0.2
    fewer = read(write(tmp_path / "b.csv", table(",", "user,item,rating,time", rows[: 200 * 2])))
    assert fewer.item_ids.tolist() == data.item_ids.tolist()  # nor do they depend on the rest
