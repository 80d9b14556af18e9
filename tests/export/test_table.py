"""Tables for other tools say what the archive says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from evolver.core import Candidate, Entry, Failed, Scored
from evolver.errors import UsageError
from evolver.export.table import candidate_table, write_table


def entries() -> list[Entry]:
    scored = Scored(
        metrics={"ndcg@10": 0.25, "coverage": 0.5},
        per_user={"ndcg@10": np.zeros(2, dtype=np.float32)},
        fit_seconds=1.5,
        score_seconds=0.1,
        latency_ms_p50=0.2,
        latency_ms_p99=0.9,
        parameters=10,
        peak_bytes=1 << 20,
    )
    odd = 'comma, "quote"\nline \ud800 ☃'
    good = Candidate(source="a", values={"x": 1, "y": "z"}, parents=("p1", "p2"), name=odd)
    bad = Candidate(source=odd, name="bad", model="some/model")
    return [
        Entry(number=0, candidate=good, evaluation=scored, seconds=2.0),
        Entry(number=4, candidate=bad, evaluation=Failed(kind="crash", reason=odd)),
    ]


def test_failures_have_no_figures() -> None:
    table = candidate_table(entries())
    assert table["number"].to_list() == [0, 4]
    assert table["status"].to_list() == ["scored", "crash"]
    assert table["metric:ndcg@10"].to_list() == [0.25, None]
    assert table["parameters"].to_list() == [10, None]
    assert table["parents"].to_list() == [["p1", "p2"], []]
    assert json.loads(table["values"][0]) == {"x": 1, "y": "z"}


@pytest.mark.parametrize("name", ["t.parquet", "t.csv", "t.jsonl"])
def test_files_can_be_read_again(tmp_path: Path, name: str) -> None:
    path = write_table(tmp_path / "new" / name, entries())
    read = {".parquet": pl.read_parquet, ".csv": pl.read_csv, ".jsonl": pl.read_ndjson}
    table = read[path.suffix](path)
    assert table["id"].to_list() == [e.candidate.id for e in entries()]
    assert table["name"][0] == 'comma, "quote"\nline \\ud800 ☃'
    assert table["metric:coverage"].to_list() == [0.5, None]


def test_an_empty_run_is_an_empty_table() -> None:
    assert candidate_table([]).shape[0] == 0
    assert "number" in candidate_table([]).columns


def test_other_endings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="ends in"):
        write_table(tmp_path / "t.xlsx", entries())
