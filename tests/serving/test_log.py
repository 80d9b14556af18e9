"""Reading logs: layouts, columns by flags, and one clear line for what cannot be used."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from evolver.errors import DataError
from evolver.serving.context import fit_encoder
from evolver.serving.log import LogColumns, from_frame, read_log

FRAME = pl.DataFrame(
    {
        "action": [10, 9, 10],
        "reward": [1, 0, 1],
        "propensity": [0.5, 0.25, 1.0],
        "slot": ["top", "low", "top"],
        "age": [20, 30, 40],
        "sex": ["F", "M", "F"],
        "s_9": [0.1, 0.2, 0.3],
        "s_10": [1.0, 2.0, 3.0],
    }
)
COLUMNS = LogColumns(position="slot", context=("age", "sex"), scores={"knn": "s_{action}"})


def test_what_is_read() -> None:
    log = from_frame(FRAME, COLUMNS)
    assert log.names == ("9", "10")
    assert log.actions.tolist() == [1, 0, 1]
    assert log.position_names == ("low", "top")
    assert log.positions.tolist() == [1, 0, 1]
    assert log.scores["knn"].tolist() == [[0.1, 1.0], [0.2, 2.0], [0.3, 3.0]]
    assert log.seen.tolist() == [[True, False], [False, True]]
    encoder = fit_encoder(log.context)
    assert encoder.terms == ("always", "age", "sex=F", "sex=M")
    first = encoder.encode(log.context)[0]
    assert first == pytest.approx([1, -(1.5**0.5), 1, 0])


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz", "log.parquet"])
def test_files_and_folders(tmp_path: Path, name: str) -> None:
    if name.endswith("parquet"):
        FRAME.write_parquet(tmp_path / name)
    elif name.endswith("gz"):
        import gzip

        (tmp_path / name).write_bytes(gzip.compress(FRAME.write_csv().encode()))
    else:
        FRAME.write_csv(tmp_path / name)
    assert read_log(tmp_path).rewards.tolist() == [1, 0, 1]
    assert read_log(tmp_path / name, changed={"position": "slot"}).positions.tolist() == [1, 0, 1]


def test_features_of_actions(tmp_path: Path) -> None:
    FRAME.write_csv(tmp_path / "log.csv")
    table = pl.DataFrame({"action": [8, 9, 10], "price": [1.0, 2.0, 3.0], "kind": ["x", "y", "z"]})
    table.write_csv(tmp_path / "items.csv")
    log = read_log(tmp_path / "log.csv", actions=tmp_path / "items.csv")
    assert log.names == ("8", "9", "10")
    assert log.actions.tolist() == [2, 1, 2]
    assert log.features["price"].tolist() == [1.0, 2.0, 3.0]
    table[:2].write_csv(tmp_path / "items.csv")
    with pytest.raises(DataError, match="actions that the table of actions lacks: 10"):
        read_log(tmp_path / "log.csv", actions=tmp_path / "items.csv")


@pytest.mark.parametrize(
    ("column", "values", "most", "says"),
    [
        ("propensity", [0.5, 0.0, 1.0], None, "propensity 0 in row 2 of column 'propensity'"),
        ("propensity", [0.5, 1.2, 1.0], None, "propensity 1.2 in row 2"),
        ("propensity", [0.5, None, 1.0], None, "column 'propensity' is empty in 1 rows"),
        ("propensity", ["a", "b", "c"], None, "holds 'a' in row 1, no number"),
        ("reward", [1, -1, 0], None, "reward -1 in row 2"),
        ("reward", [1, 2, 0], None, "say how large one can be with --most-reward"),
        ("reward", [1, 2, 0], 1.5, "contradict each other"),
    ],
)
def test_bad_values(column: str, values: list[object], most: float | None, says: str) -> None:
    frame = FRAME.with_columns(pl.Series(column, values))
    with pytest.raises(DataError, match=says):
        from_frame(frame, LogColumns(), most_reward=most)


def test_bad_tables(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no column 'propensity'; it has action, reward"):
        from_frame(FRAME.drop("propensity"), LogColumns())
    with pytest.raises(DataError, match=r"needs \{action\} in its pattern"):
        from_frame(FRAME, LogColumns(scores={"knn": "s"}))
    with pytest.raises(DataError, match="no column t_9, t_10 for score 'knn'"):
        from_frame(FRAME, LogColumns(scores={"knn": "t_{action}"}))
    with pytest.raises(DataError, match="has no rows"):
        from_frame(FRAME[:0], LogColumns())
    with pytest.raises(DataError, match="does not exist"):
        read_log(tmp_path / "nothing.csv")
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    (tmp_path / "b.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"should hold one log .* holds: a.csv, b.csv"):
        read_log(tmp_path)


def test_a_context_that_is_no_number_is_refused() -> None:
    frame = FRAME.with_columns(pl.Series("age", [20.0, float("nan"), 40.0]))
    with pytest.raises(DataError, match="column 'age' holds what is no number"):
        from_frame(frame, COLUMNS)


def test_rewards_may_be_larger_than_one_when_told() -> None:
    frame = FRAME.with_columns(pl.Series("reward", [5, 0, 2]))
    assert from_frame(frame, LogColumns(), most_reward=10).most_reward == 10


@pytest.mark.realdata
def test_open_bandit_is_recognised(real_data: Path) -> None:
    if not (real_data / "obd").is_dir():
        pytest.skip("no Open Bandit sample under EVOLVER_DATA (obd/)")
    log = read_log(real_data / "obd" / "bts")
    assert (len(log), len(log.names), log.position_names) == (10_000, 80, ("1", "2", "3"))
    assert log.rewards.sum() == 42
    assert list(log.scores) == ["affinity"]
    assert len(log.context.columns) == 4
