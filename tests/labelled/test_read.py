"""From files to codes: what each column holds, and what is unknown later."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from evolver.config import DataConfig, SplitConfig
from evolver.data.labelled.encode import hashed, make_encoder
from evolver.data.labelled.read import load_labelled
from evolver.data.labelled.split import blocks_of, fold_table, split_table
from evolver.data.labelled.table import LabelledTable
from evolver.errors import ConfigError, DataError

LINES = """label,user,item,price,tags,seen,hour
1,u1,7,1.5,red|blue,7|8,9
0,u1,8,,blue,,10
0,u2,7,2.5,,8,9
1,u2,9,0.5,red|new,7|7|8,11
1,u1,9,1.0,old,7,9
0,u3,8,3.5,red,9,10
"""


def write(folder: Path, text: str = LINES, name: str = "log.csv") -> Path:
    (folder / name).write_text(text)
    return folder / name


def read(path: Path, **more: object) -> LabelledTable:
    columns = {"seen": "sequence:item", "hour": "ignore"}
    return load_labelled(DataConfig(path=str(path), columns=columns, **more))  # type: ignore[arg-type]


def test_columns_are_what_their_values_look_like(tmp_path: Path) -> None:
    table = read(write(tmp_path))
    assert [(c.name, c.kind) for c in table.columns] == [
        ("user", "categorical"),
        ("item", "categorical"),
        ("price", "numeric"),
        ("tags", "multi"),
        ("seen", "sequence"),
    ]
    assert (table.user, table.item, table.label) == ("user", "item", "label")
    assert table.labels.tolist() == [1, 0, 0, 1, 1, 0]
    assert table.vocabularies["item"] == ("7", "8", "9")  # with what only histories hold
    tags, seen = table.listed
    assert tags.indptr.tolist() == [0, 2, 3, 3, 5, 6, 7]
    assert [table.vocabularies["item"][c] for c in seen.codes] == [
        "7", "8", "8", "7", "7", "8", "7", "9",
    ]  # fmt: skip


def test_what_is_said_beats_what_is_seen(tmp_path: Path) -> None:
    table = load_labelled(
        DataConfig(
            path=str(write(tmp_path)),
            user="item",
            columns={"hour": "numeric", "tags": "categorical", "seen": "ignore"},
        )
    )
    assert table.user == "item"
    assert {c.name: c.kind for c in table.columns}["hour"] == "numeric"
    assert "red|blue" in table.vocabularies["tags"]


def test_a_column_called_day_is_a_feature_and_real_times_are_times(tmp_path: Path) -> None:
    rows = "label,who,day,ts\n" + "\n".join(
        f"{n % 2},w{n % 3},{n % 7},{1_600_000_000 + n}" for n in range(20)
    )
    table = load_labelled(DataConfig(path=str(write(tmp_path, rows)), user="who"))
    assert {c.name for c in table.columns} == {"who", "day"}
    assert table.times is not None
    assert table.times[0] == 1_600_000_000


def test_published_parts_are_read_in_order_and_may_be_packed(tmp_path: Path) -> None:
    for part, label in (("train", 1), ("valid", 0), ("test", 1)):
        with gzip.open(tmp_path / f"{part}.csv.gz", "wt") as file:
            file.write(f"clicked,u\n{label},{part}\n{1 - label},{part}\n")
    table = load_labelled(DataConfig(path=str(tmp_path)))
    assert table.published is not None
    assert table.published.tolist() == [0, 0, 1, 1, 2, 2]
    assert table.labels.tolist() == [1, 0, 0, 1, 1, 0]


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "label": [True, False, True],
            "user": [1, 2, 1],
            "size": [0.5, None, 2.0],
            "kinds": [["a", "b"], [], ["b"]],
        }
    )
    frame.write_parquet(tmp_path / "log.parquet")
    table = load_labelled(DataConfig(path=str(tmp_path / "log.parquet")))
    assert [c.kind for c in table.columns] == ["categorical", "numeric", "multi"]
    assert table.vocabularies["user"] == ("1", "2")
    assert table.listed[0].indptr.tolist() == [0, 2, 2, 3]


@pytest.mark.parametrize(
    ("text", "more", "said"),
    [
        ("a,b\n1,2\n", {}, "name the columns|no label column"),
        ("label,user\n2,a\n0,b\n", {}, "a label is 0 or 1"),
        ("label,user\n,a\n0,b\n", {}, "a label is 0 or 1"),
        ("label\n1\n0\n", {}, "no features|neither a table"),
        (LINES, {"label": "nope"}, "no column 'nope'"),
        (LINES, {"columns": {"x": "numeric"}}, "no column 'x'"),
        (LINES, {"value": "price"}, "ranking has --label"),
        (LINES, {"format": "recbole"}, "holds no labels"),
    ],
)
def test_bad_input_is_named_in_one_line(
    tmp_path: Path, text: str, more: dict[str, object], said: str
) -> None:
    path = write(tmp_path, text)
    with pytest.raises((DataError, ConfigError), match=said) as caught:
        load_labelled(DataConfig(path=str(path), **more))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_a_kind_that_there_is_not_is_refused(tmp_path: Path) -> None:
    for columns, said in (
        ({"tags": "set"}, "a kind is"),
        ({"tags": "sequence:price"}, "categorical"),
    ):
        with pytest.raises(ConfigError, match=said):
            load_labelled(DataConfig(path=str(write(tmp_path)), columns=columns))


# --- encoding -----------------------------------------------------------------------------------


def test_values_that_training_lacks_or_holds_once_share_hashed_codes(tmp_path: Path) -> None:
    table = read(write(tmp_path))
    trained = np.array([True, True, True, False, False, False])
    encoder = make_encoder(table, trained)
    users = encoder.vocabularies["user"]
    assert users.known == ("u1",)  # u2 is there once, u3 never
    assert users.codes(["u1", "u2", "u3"]).tolist() == [
        0,
        1 + hashed("u2", users.buckets),
        1 + hashed("u3", users.buckets),
    ]
    items = encoder.vocabularies["item"]
    assert set(items.known) == {"7", "8"}  # histories count, they share the items' codes
    seen = encoder.encode(table, ~trained, labels=False)
    assert seen.labels is None
    assert seen.lists[1].column == 1
    assert seen.lists[1].size == seen.sizes[1] == items.size
    known = items.known.index("7")
    assert seen.lists[1].codes[seen.lists[1].indptr[0] : seen.lists[1].indptr[1]].tolist()[:2] == [
        known,
        known,
    ]
    assert (seen.user, seen.item) == (0, 1)


def test_numbers_are_standardised_by_training_and_missing_ones_are_the_mean(tmp_path: Path) -> None:
    table = read(write(tmp_path))
    encoder = make_encoder(table, np.array([True, True, True, False, False, False]))
    assert encoder.scales["price"] == (2.0, 0.5)
    everything = encoder.encode(table, np.ones(6, dtype=bool), labels=True)
    assert everything.numbers[:, 0].tolist() == [-1.0, 0.0, 1.0, -3.0, -2.0, 3.0]


def test_lists_are_padded_on_the_left_with_the_latest_values(tmp_path: Path) -> None:
    table = read(write(tmp_path))
    encoder = make_encoder(table, np.ones(6, dtype=bool))
    seen = encoder.encode(table, np.ones(6, dtype=bool), labels=False).lists[1]
    known = {name: code for code, name in enumerate(encoder.vocabularies["item"].known)}
    assert seen.last(2, pad=-1).tolist() == [
        [known["7"], known["8"]],
        [-1, -1],
        [-1, known["8"]],
        [known["7"], known["8"]],
        [-1, known["7"]],
        [-1, known["9"]],
    ]
    assert seen[3:5].last(3, pad=-1).tolist() == [
        [known["7"], known["7"], known["8"]],
        [-1, -1, known["7"]],
    ]


# --- splitting ----------------------------------------------------------------------------------


def test_published_validation_is_halved_and_test_is_as_published() -> None:
    labels = np.tile([0.0, 1.0], 200).astype(np.float32)
    published = np.repeat([0, 1, 2], [200, 120, 80]).astype(np.int8)
    table = LabelledTable(name="t", labels=labels, columns=(), vocabularies={}, published=published)
    split = split_table(table, SplitConfig(), seed=1)
    assert split.kind == "published"
    assert np.bincount(split.assignment).tolist() == [200, 60, 60, 80]
    assert (split.assignment[published == 2] == 3).all()
    assert set(split.assignment[published == 1].tolist()) == {1, 2}
    again = split_table(table, SplitConfig(), seed=1)
    assert (again.assignment == split.assignment).all()
    assert (split_table(table, SplitConfig(), seed=2).assignment != split.assignment).any()


def test_the_sample_is_split_by_time_and_judged_by_user() -> None:
    table = load_labelled(DataConfig())
    split = split_table(table, SplitConfig(), seed=0)
    assert split.kind == "time"
    for part, number in (("search", 1), ("test", 3)):
        fold = fold_table(table, split, part)  # type: ignore[arg-type]
        here = split.assignment == number
        assert fold.asked.labels is None
        assert (fold.labels == table.labels[here]).all()
        assert len(fold.train) == (split.assignment < number).sum()
        users = table.codes_of("user")
        assert users is not None
        assert fold.n_units == len(np.unique(users[here]))
        assert fold.history is not None
        assert fold.history.sum() <= len(fold.train)


def test_rows_of_nobody_are_judged_in_runs() -> None:
    units, count = blocks_of(10)
    assert (count, units.tolist()) == (10, list(range(10)))
    units, count = blocks_of(5000)
    assert count == 2000
    assert (np.diff(units) >= 0).all()
    assert set(np.bincount(units)) == {2, 3}


def test_a_part_without_one_of_the_labels_is_refused() -> None:
    labels = np.array([0, 1] * 10 + [1] * 20, dtype=np.float32)
    times = np.arange(40, dtype=np.int64) + 1_600_000_000
    table = LabelledTable(name="t", labels=labels, columns=(), vocabularies={}, times=times)
    with pytest.raises(DataError, match="both labels are needed in every part"):
        split_table(table, SplitConfig(kind="time"), seed=0)
    with pytest.raises(DataError, match="did not come split"):
        split_table(table, SplitConfig(kind="published"), seed=0)
